"""The events behind a line, a page at a time, each page checked against what the line froze.

A line that bills a period for the first time has all events that it counted. A difference or a credit has what changed
between two freezes: the events that came to count, and those that count no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.engine import Connection

from app.domain.invoices import InvoiceLine
from app.operations.billed_charges import billed_before
from app.operations.frozen_use import EventPlace, Frozen, FrozenUse, frozen_of, same_hour
from app.operations.read_usage import HOUR
from app.storage import invoice_store
from app.storage.database import Database
from app.storage.event_store import StoredEvent
from app.storage.invoice_store import StoredInvoice

_MOST_LOOKED_AT = 20_000
"""Events that one page reads: where a meter's filter takes few of them, a page may be short and still go on."""

ChangeOfEvent = Literal["added", "removed"]


@dataclass(frozen=True, slots=True)
class LineEvent:
    """An event behind a line; of a difference, whether it came to count or counts no more."""

    stored: StoredEvent
    change: ChangeOfEvent | None = None


@dataclass(frozen=True, slots=True)
class LineEvents:
    """A page, and the place after which the next one goes on (None at the end). `verified` is True when the events of
    all hours that the page covers are those frozen: by count, and by the sum of their identities."""

    rows: tuple[LineEvent, ...]
    next: EventPlace | None
    verified: bool


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)


def list_line_events(
    database: Database, stored: StoredInvoice, line: InvoiceLine, *, after: EventPlace | None, limit: int
) -> LineEvents:
    """The next events behind the line, by time."""
    return database.read(lambda connection: line_events(connection, stored, line, after=after, limit=limit))


def line_events(
    connection: Connection, stored: StoredInvoice, line: InvoiceLine, *, after: EventPlace | None, limit: int
) -> LineEvents:
    frozen = frozen_of(connection, stored, line)
    if frozen is None:
        return LineEvents((), None, line.trace.get("meter") is None)
    use = FrozenUse(connection, frozen)
    if line.kind == "charge":
        return _page(_Counted(use), after, limit)
    issued = invoice_store.issued_beside(connection, stored.place, line)
    billed = billed_before(issued, stored, line)
    before = None if billed is None else frozen_of(connection, *billed)
    if before is None:
        return LineEvents((), None, False)
    return _page(_Changed(FrozenUse(connection, before), use), after, limit)


class _Counted:
    """The events that one line counted."""

    def __init__(self, use: FrozenUse) -> None:
        self._use = use

    def events(self, after: EventPlace | None) -> Iterator[tuple[StoredEvent, LineEvent | None]]:
        start = _BEGINNING if after is None else after[0]
        for stored in self._use.events(start, _END, after=after):
            yield stored, LineEvent(stored) if self._use.counts(stored) else None

    def verified(self, first: datetime, last: datetime) -> bool:
        return self._use.verified(first, last)


class _Changed:
    """The events that one of two lines counted and the other did not."""

    def __init__(self, before: FrozenUse, now: FrozenUse) -> None:
        self._before = before
        self._now = now

    def events(self, after: EventPlace | None) -> Iterator[tuple[StoredEvent, LineEvent | None]]:
        wider = self._before if _is_wider(self._before.frozen, self._now.frozen) else self._now
        for hour in self._hours():
            if after is None or hour + HOUR > after[0]:
                for stored in wider.events(hour, hour + HOUR, after=after):
                    yield stored, self._change(stored)

    def _hours(self) -> list[datetime]:
        before, now = self._before.frozen.hours, self._now.frozen.hours
        return sorted(hour for hour in before.keys() | now.keys() if not same_hour(before.get(hour), now.get(hour)))

    def _change(self, stored: StoredEvent) -> LineEvent | None:
        then, now = self._before.counts(stored), self._now.counts(stored)
        return None if then is now else LineEvent(stored, "added" if now else "removed")

    def verified(self, first: datetime, last: datetime) -> bool:
        return all(
            use.verified(hour, hour)
            for use in (self._before, self._now)
            for hour in self._hours()
            if first - HOUR < hour <= last
        )


def _is_wider(first: Frozen, second: Frozen) -> bool:
    """A subscription may have been ended since: then the later line's stretch is the shorter one."""
    if first.stretch is None or second.stretch is None:
        return second.stretch is None
    return first.stretch.end >= second.stretch.end


def _page(source: _Counted | _Changed, after: EventPlace | None, limit: int) -> LineEvents:
    first = _BEGINNING + timedelta(hours=1) if after is None else after[0]
    rows: list[LineEvent] = []
    seen = after
    for number, (stored, row) in enumerate(source.events(after)):
        if (row is not None and len(rows) == limit) or number == _MOST_LOOKED_AT:
            assert seen is not None
            return LineEvents(tuple(rows), seen, source.verified(first, seen[0]))
        if row is not None:
            rows.append(row)
        seen = (stored.at, stored.identity)
    return LineEvents(tuple(rows), None, source.verified(first, _END))
