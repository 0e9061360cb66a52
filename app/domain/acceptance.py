"""What becomes of one event, as the catalog stands?

A known subject, a meter that names the event's type, a known resource and values that every such meter can measure:
then it is accepted, with what they measured. Otherwise it is set aside with the first reason that holds, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from app.domain.events import EARLIEST, QuarantineReason, UsageEvent, digest_at, identity_of, microseconds
from app.domain.ids import NOBODY
from app.domain.meters import Measured, Meter, Unmeasurable, measure


class Catalog(Protocol):
    """What judging needs to know of the catalog."""

    @property
    def version(self) -> int: ...
    @property
    def meters(self) -> Mapping[str, Sequence[Meter]]: ...
    def tenant_of(self, subject: str, at: datetime) -> UUID: ...
    def knows_resource(self, key: str) -> bool: ...


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An event that is malformed: nothing of it is kept. `pointer` is relative to the event, such as "/time"."""

    id: str | None
    pointer: str
    detail: str


class Judged(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An event with its tenant (NOBODY where unknown), and either what its meters measured or why it is set aside.

    `at` is its time, or when it was received where it came without one; `moment` is that in microseconds.
    """

    event: UsageEvent
    tenant_id: UUID
    identity: bytes
    digest: bytes
    at: datetime
    moment: int
    measured: tuple[tuple[Meter, Measured], ...] = ()
    reason: QuarantineReason | None = None
    detail: str = ""


def judge(
    event: UsageEvent, catalog: Catalog, *, received_at: datetime, latest: datetime, bound_to: UUID | None = None
) -> Judged | Rejected:
    """What the catalog says to the event. A key bound to a tenant may post for that tenant only; no event may have
    happened after the `latest` instant."""
    at = event.time or received_at
    if not EARLIEST <= at <= latest:
        return Rejected(
            event.id, "/time", "time is before 1970" if at < EARLIEST else "time lies too far in the future"
        )
    if not event.subject and bound_to is None:
        return Rejected(event.id, "/subject", "subject is missing: it names who used the resource")
    tenant_id = catalog.tenant_of(event.subject, at) if event.subject else bound_to
    assert tenant_id is not None
    if bound_to is not None and tenant_id != bound_to:
        return Rejected(event.id, "/subject", "this API key may post for its own tenant only")
    moment = microseconds(at)
    identity = identity_of(event.source, event.id)
    digest = digest_at(event, None if event.time is None else moment)
    meters = catalog.meters.get(event.type, ())
    if tenant_id == NOBODY or not meters or (event.resource and not catalog.knows_resource(event.resource)):
        reason, detail = _unknown(event, tenant_id, bool(meters))
        return Judged(event, tenant_id, identity, digest, at, moment, (), reason, detail)
    found: list[tuple[Meter, Measured]] = []
    for meter in meters:
        measured = measure(meter, event)
        if isinstance(measured, Measured):
            found.append((meter, measured))
        elif isinstance(measured, Unmeasurable) and meter.newest:
            return Judged(event, tenant_id, identity, digest, at, moment, (), "unmeasurable", measured.detail)
    return Judged(event, tenant_id, identity, digest, at, moment, tuple(found))


def _unknown(event: UsageEvent, tenant_id: UUID, is_metered: bool) -> tuple[QuarantineReason, str]:
    if tenant_id == NOBODY:
        return "unknown_tenant", f"no tenant claims the subject {event.subject!r}"
    if not is_metered:
        return "unknown_type", f"no meter names the type {event.type!r}"
    return "unknown_resource", f"there is no resource {event.resource!r}"
