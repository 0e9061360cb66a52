"""What accrues while time passes: levels that hold, sessions that are open, totals that run.

    time_weighted   3 seats at 08:00 and 5 at 10:00 are, until 11:00, 3 x 2 h + 5 x 1 h = 11
    duration        a session from 23:00 to 01:00 is one hour of either day
    counter         readings of 100, 130, 20 are 30 more and, after a reset, 20 more: 50; the first is where it begins

None of them merges, and each begins with what events before the stretch left: a level, an open session, a reading. So
the stretch is given what was carried over, and its own events in order of time. The parts of a stretch sum to it
exactly, wherever it is divided: time is read off a clock of 18 decimals, and what lies between two instants is the
difference of what it shows. An hour is exactly 1, and 20 minutes are 0.333333333333333333 or ...34.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import groupby
from typing import Generic, TypeVar

from app.domain.events import microseconds
from app.domain.meters import Per
from app.domain.periods import Period

W = TypeVar("W")

_MICROSECONDS: dict[Per, int] = {
    "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000,
}  # fmt: skip
_SCALE = 18


@dataclass(frozen=True, slots=True)
class Reading(Generic[W]):
    """What an event said of its series: a level, or a running total. `of` is what the caller knows it by."""

    series: Hashable
    at: datetime
    value: Decimal
    of: W


@dataclass(frozen=True, slots=True)
class Toggle(Generic[W]):
    """A session begins, or it ends."""

    session: Hashable
    at: datetime
    begins: bool
    of: W


@dataclass(frozen=True, slots=True)
class Span(Generic[W]):
    """A level that held from `start` to `end`. Of sessions: `is_open` where no end has come up to there, `is_cut` where
    the longest time that a session may take was reached there."""

    start: datetime
    end: datetime
    level: Decimal
    of: W
    is_open: bool = False
    is_cut: bool = False


@lru_cache(maxsize=65_536)
def clock(at: datetime, per: Per) -> Decimal:
    """The time since 1970 in the unit, to 18 decimals."""
    unit = _MICROSECONDS[per]
    return Decimal((microseconds(at) * 10**_SCALE * 2 + unit) // (2 * unit)).scaleb(-_SCALE)


def accrued(start: datetime, end: datetime, level: Decimal, per: Per) -> Decimal:
    """Level times time: 3 from 08:00 to 10:00 per hour are 6."""
    return level * (clock(end, per) - clock(start, per))


def levels(carried: Iterable[Reading[W]], readings: Iterable[Reading[W]], period: Period) -> Iterator[Span[W]]:
    """The levels of the period: each reading holds until the next of its series. `carried` are the last readings before
    the period, `readings` those inside it, in order."""
    held: dict[Hashable, tuple[datetime, Reading[W]]] = {item.series: (period.start, item) for item in carried}
    for item in readings:
        since, before = held.get(item.series, (item.at, item))
        if since < item.at and before.value:
            yield Span(since, item.at, before.value, before.of)
        held[item.series] = (item.at, item)
    for since, item in held.values():
        if since < period.end and item.value:
            yield Span(since, period.end, item.value, item.of)


def increases(carried: Iterable[Reading[W]], readings: Iterable[Reading[W]]) -> Iterator[tuple[Reading[W], Decimal]]:
    """By how much each reading is more than the one before it of its series; the first of all is where a series begins.

    A reading below the one before it says that the total began anew at 0: all of it is new. What ran between the last
    reading and the reset nobody knows, and it is not counted.
    """
    known = {item.series: item.value for item in carried}
    for item in readings:
        before = known.get(item.series)
        if before is not None:
            yield item, item.value - before if item.value >= before else item.value
        known[item.series] = item.value


def sessions(toggles: Iterable[Toggle[W]], period: Period, *, longest: timedelta) -> Iterator[Span[W]]:
    """The parts of sessions that lie in the period, each of level 1. The toggles are in order of time, from `longest`
    before the period on, up to its end.

    A session is open where it has begun no more than `longest` before and has not ended since. So a beginning in an
    open session says that it goes on; one without an end lasts `longest`; an end without a beginning says nothing. What
    both ends and begins at one instant stays as it was, whichever came first: open, or not begun at all.
    """
    opened: dict[Hashable, Toggle[W]] = {}
    for at, together in groupby(toggles, key=lambda item: item.at):
        for session, (begins, ends) in _by_session(together).items():
            first = opened.get(session)
            if first is not None and at > first.at + longest:
                yield from _part(opened.pop(session), at, period, longest)
                first = None
            if begins and not ends:
                if first is not None:
                    yield from _part(first, at, period, longest, goes_on=True)
                opened[session] = begins[0]
            elif ends and not begins and first is not None:
                yield from _part(opened.pop(session), at, period, longest, ended=True)
    for first in opened.values():
        yield from _part(first, period.end, period, longest)


def _by_session(together: Iterable[Toggle[W]]) -> dict[Hashable, tuple[list[Toggle[W]], list[Toggle[W]]]]:
    """What begins and what ends at one instant."""
    found: dict[Hashable, tuple[list[Toggle[W]], list[Toggle[W]]]] = {}
    for item in together:
        begins, ends = found.setdefault(item.session, ([], []))
        (begins if item.begins else ends).append(item)
    return found


def _part(
    first: Toggle[W], end: datetime, period: Period, longest: timedelta, *, ended: bool = False, goes_on: bool = False
) -> Iterator[Span[W]]:
    last = first.at + longest
    is_cut = not goes_on and (end > last or (end == last and not ended))
    start, end = max(first.at, period.start), min(end, last)
    if start < end:
        yield Span(start, end, Decimal(1), first.of, not (ended or goes_on or is_cut), is_cut)
