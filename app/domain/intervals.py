"""Into which intervals does a meter divide time, where it aggregates interval by interval?

`5m` are the intervals of five minutes that begin at 00:00, 00:05, .. UTC; `minute` and `hour` are those of UTC, too.
`day`, `week` and `month` are those of the tenant's calendar: a day in Paris begins at 22:00 or 23:00 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

from app.domain.periods import Period, window_at, windows_between

Calendar = Literal["day", "week", "month"]
CALENDAR: tuple[Calendar, ...] = ("day", "week", "month")
_NAMED = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_LENGTH = re.compile(r"([1-9][0-9]{0,6})([smhd])", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def parse_length(text: str) -> timedelta:
    """A length of time such as 90s, 5m, 12h, 7d. Raises ValueError."""
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise ValueError("is no length of time such as 90s, 5m, 12h or 7d")
    return int(match.group(1)) * _UNITS[match.group(2)]


@lru_cache(maxsize=1024)
def interval_length(per: str) -> timedelta | None:
    """How long each interval is; None for those of the calendar. Raises ValueError for what names no intervals: a
    length must divide a day, so that every day begins with one."""
    if per in CALENDAR:
        return None
    if per in _NAMED:
        return _NAMED[per]
    length = parse_length(per)
    if _DAY % length:
        raise ValueError("does not divide a day: 5m, 15m, 1h, 6h do")
    return length


def interval_start(at: datetime, per: str, zone: ZoneInfo) -> datetime:
    """When the interval began that holds the instant."""
    length = interval_length(per)
    return at - (at - _EPOCH) % length if length is not None else window_at(at, _calendar(per), zone).start


def number_of_intervals(period: Period, per: str, zone: ZoneInfo) -> int:
    """How many intervals share an instant with the period."""
    length = interval_length(per)
    if length is not None:
        first = period.start - (period.start - _EPOCH) % length
        return -((first - period.end) // length)
    return sum(1 for _ in windows_between(period, _calendar(per), zone))


def calendar_cuts(period: Period, per: str, zone: ZoneInfo) -> Iterator[datetime]:
    """Where the intervals of the calendar end that begin in the period; nothing for other intervals."""
    if interval_length(per) is None:
        for window in windows_between(period, _calendar(per), zone):
            yield window.end


def _calendar(per: str) -> Calendar:
    return next(name for name in CALENDAR if name == per)


def cuts_hours(per: str) -> bool:
    """True where an interval may begin inside an hour of UTC, wherever the tenant is."""
    length = interval_length(per)
    return length is not None and bool(length % HOUR)
