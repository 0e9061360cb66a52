"""Small request bodies -> domain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from app.domain.events import MAX_TEXT_LENGTH, QUARANTINE_REASONS, UsageEvent
from app.wire.events import event_from_value
from app.wire.parsing import Fields, key_problem

_MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Cancellation:
    tenant: str
    source: str
    id: str
    reason: str
    replacement: UsageEvent | None


def cancellation_from_wire(body: Any) -> Cancellation:
    """Raises InvalidInput with every fault, as all of these do."""
    fields = Fields(body)
    found = Cancellation(
        fields.key("tenant"), fields.text("source", max_length=MAX_TEXT_LENGTH["source"]),
        fields.text("id", max_length=MAX_TEXT_LENGTH["id"]), fields.optional_text("reason", max_length=2048) or "",
        _replacement(fields),
    )  # fmt: skip
    fields.finish()
    return found


def _replacement(fields: Fields) -> UsageEvent | None:
    value = fields.raw("replacement")
    if value is None:
        return None
    event = event_from_value(value)
    if isinstance(event, UsageEvent):
        return event
    fields.problem(f"replacement{event.pointer}", event.detail)
    return None


def release_from_wire(body: Any) -> str | None:
    """The reason whose copies are tried again; None for all."""
    fields = Fields(body)
    reason = fields.choice("reason", QUARANTINE_REASONS) if fields.has("reason") else None
    fields.ignore("reason")
    fields.finish()
    return reason


@dataclass(frozen=True, slots=True)
class RunRequest:
    through: datetime
    issue: bool
    dry_run: bool
    tenants: tuple[str, ...]
    sellers: tuple[str, ...]
    plans: tuple[str, ...]


def run_from_wire(body: Any) -> RunRequest:
    fields = Fields(body)
    found = RunRequest(
        utc(fields.day_or_instant("through")), fields.boolean("issue"), fields.boolean("dry_run"),
        _keys(fields, "tenants"), _keys(fields, "sellers"), _keys(fields, "plans"),
    )  # fmt: skip
    fields.finish()
    return found


def utc(moment: date | datetime) -> datetime:
    """The instant; a date as its midnight in UTC, where no tenant's zone could be meant."""
    return moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def _keys(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name)
    for index, item in enumerate(items):
        detail = key_problem(item)
        if detail is not None:
            fields.problem(f"{name}/{index}", detail)
    if len(items) > _MAX_KEYS:
        fields.problem(name, f"at most {_MAX_KEYS} keys")
    return tuple(item for item in items if isinstance(item, str))
