"""Small request bodies -> domain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from app.domain.errors import FieldProblem, InvalidInput, Malformed
from app.domain.events import QUARANTINE_REASONS, parse_instant


class Members:
    """Reads the members of one JSON object and collects every fault with its pointer."""

    def __init__(self, body: Any, *known: str) -> None:
        if not isinstance(body, dict):
            raise Malformed("The body must be a JSON object.")
        self._body = body
        self._problems = [FieldProblem(f"/{name}", "unknown field") for name in body if name not in known]

    def fault(self, name: str, detail: str) -> None:
        self._problems.append(FieldProblem(f"/{name}", detail))

    def text(self, name: str, *, required: bool = True, longest: int = 2048) -> str:
        value = self._body.get(name)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or not value or len(value) > longest or not _is_clean(value):
            self.fault(name, f"must be text of 1 to {longest} characters without control characters")
            return ""
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._body.get(name, default)
        if not isinstance(value, bool):
            self.fault(name, "must be true or false")
            return default
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._body.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.fault(name, "must be a list of keys")
            return ()
        return tuple(value)

    def instant(self, name: str) -> datetime:
        value = self._body.get(name)
        try:
            if isinstance(value, str) and len(value) == 10:
                return datetime.combine(datetime.strptime(value, "%Y-%m-%d").date(), time(), UTC)
            if isinstance(value, str):
                return parse_instant(value)
            self.fault(name, "must be an RFC 3339 time such as 2026-11-01T00:00:00Z")
        except ValueError as error:
            self.fault(name, str(error))
        return datetime(1970, 1, 1, tzinfo=UTC)

    def done(self) -> None:
        """Raises InvalidInput with every fault that was found."""
        if self._problems:
            first = self._problems[0]
            raise InvalidInput(f"{first.pointer}: {first.detail}", problems=tuple(self._problems))


def _is_clean(text: str) -> bool:
    return not any(ord(letter) < 32 or 0xD800 <= ord(letter) <= 0xDFFF for letter in text)


@dataclass(frozen=True, slots=True)
class Cancellation:
    tenant: str
    source: str
    id: str
    reason: str


def cancellation_from_wire(body: Any) -> Cancellation:
    members = Members(body, "tenant", "source", "id", "reason")
    found = Cancellation(
        members.text("tenant", longest=255), members.text("source"), members.text("id", longest=255),
        members.text("reason", required=False),
    )  # fmt: skip
    members.done()
    return found


def release_from_wire(body: Any) -> str | None:
    """The reason whose copies are tried again; None for all."""
    members = Members(body, "reason")
    reason = members.text("reason", required=False) or None
    if reason is not None and reason not in QUARANTINE_REASONS:
        members.fault("reason", f"must be one of {', '.join(QUARANTINE_REASONS)}")
    members.done()
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
    members = Members(body, "through", "issue", "dry_run", "tenants", "sellers", "plans")
    found = RunRequest(
        members.instant("through"), members.flag("issue", False), members.flag("dry_run", False),
        members.texts("tenants"), members.texts("sellers"), members.texts("plans"),
    )  # fmt: skip
    members.done()
    return found
