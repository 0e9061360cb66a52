"""Which messages are there, who hears them, and with which secrets is one signed?

An endpoint of tenant acme for ["invoice.*"] hears that an invoice of acme was issued or paid, and nothing of others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

from app.domain.invoices import InvoiceType

EVENT_TYPES: tuple[str, ...] = (
    *(f"{name}.issued" for name in get_args(InvoiceType)), "invoice.paid", "payment.recorded", "payment.reversed",
    "payment.refunded", "alert.crossed", "billing_run.finished",
)  # fmt: skip
"""What is announced. docs/how-to/webhooks.md shows the payload of each."""
TEST_TYPE = "webhook.test"
"""What an endpoint is sent when somebody asks for it, and never else."""

ALL = "*"
MAX_EVENTS = 50
MAX_URL_LENGTH = 2_000
ROTATION = timedelta(days=1)
"""How long the secret before the last rotation signs too."""


def patterns() -> tuple[str, ...]:
    """Everything that an endpoint may name: all, each type, and all types of a noun (`invoice.*`)."""
    nouns = dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENT_TYPES)
    return (ALL, *EVENT_TYPES, *nouns)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where messages are posted, as it was asked for. With `tenant` it hears what concerns that tenant only."""

    key: str
    url: str
    events: tuple[str, ...]
    enabled: bool = True
    description: str = ""
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class Secrets:
    """What an endpoint's messages are signed with. `previous` signs too, until `previous_until`."""

    current: str = field(repr=False)
    previous: str = field(default="", repr=False)
    previous_until: datetime | None = None

    def in_force(self, now: datetime) -> tuple[str, ...]:
        """The newest first."""
        if self.previous_until is not None and now < self.previous_until:
            return self.current, self.previous
        return (self.current,)

    def rotated(self, new: str, now: datetime) -> Secrets:
        return Secrets(new, self.current, now + ROTATION)


@dataclass(frozen=True, slots=True)
class Standing:
    """Why an endpoint that nobody disabled may be disabled all the same, and since when it fails."""

    disabled_at: datetime | None = None
    disabled_reason: str = ""
    failing_since: datetime | None = None

    def disabled(self, reason: str, now: datetime) -> Standing:
        return replace(self, disabled_at=now, disabled_reason=reason)


@dataclass(frozen=True, slots=True)
class Listener:
    """As much of an endpoint as says whether it hears a message."""

    endpoint_id: UUID
    events: tuple[str, ...]
    enabled: bool
    tenant_id: UUID | None

    def hears(self, type: str, concerned: Collection[UUID | None]) -> bool:
        """`concerned` are the tenants that the message is about."""
        if type not in EVENT_TYPES:
            return False
        if self.tenant_id is not None and self.tenant_id not in concerned:
            return False
        return subscribes(self.events, type)


def subscribes(events: Collection[str], type: str) -> bool:
    """True where one of the patterns names the type."""
    return not {ALL, type, f"{type.partition('.')[0]}.*"}.isdisjoint(events)
