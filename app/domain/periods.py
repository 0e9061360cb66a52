"""Which stretch of time is a day, an hour, a billing period somewhere, and how much of it was used?

Every stretch is half-open, between two instants in UTC. A local day begins at the first instant at which the clocks of
its zone show midnight or later, and lasts until the next one begins: in Paris 29 March 2026 lasts 23 hours, from
28 March 23:00 to 29 March 22:00 UTC. A subscription anchored on 31 January has its billing instants at the beginning
of 31 January, 28 February, 31 March and 30 April; one that starts on 15 June uses 16 of that month's 30 days.
"""

from __future__ import annotations

import zoneinfo
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Literal
from zoneinfo import ZoneInfo

# Zones come from the tzdata package alone, which has a version. With the files of each machine, two workers could find
# two instants for one billing date; and names such as "localtime" would mean something else on each.
zoneinfo.reset_tzpath(())

Window = Literal["minute", "hour", "day", "week", "month"]
Interval = Literal["day", "week", "month", "quarter", "year"]
Anchor = Literal["calendar", "anniversary"]
Unit = Literal["day", "second"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
HOUR_MICROSECONDS = 3_600_000_000
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_CLOCK_WINDOWS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1)}
_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_CALENDAR_ORIGIN = date(2001, 1, 1)  # a Monday, and the first of a month, a quarter and a year


@dataclass(frozen=True, slots=True)
class Period:
    """The instants from `start` on, up to but not including `end`; both with `datetime.UTC` as their zone.

    Raises ValueError for any other zone, even one at offset zero: arithmetic in Europe/London is another than in UTC.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is not UTC or self.end.tzinfo is not UTC:
            raise ValueError(f"a period lies between two instants in UTC, not {self.start!r} and {self.end!r}")
        if not self.start < self.end:
            raise ValueError(f"a period starts before it ends: {self.start.isoformat()}, {self.end.isoformat()}")


def gaps(span: Period, covered: Sequence[Period]) -> list[Period]:
    """The parts of the span that none of the periods, in order of their starts, covers."""
    found: list[Period] = []
    position = span.start
    for stretch in covered:
        if stretch.start > position and position < span.end:
            found.append(Period(position, min(stretch.start, span.end)))
        position = max(position, stretch.end)
    if position < span.end:
        found.append(Period(position, span.end))
    return found


# --- zones and days ---------------------------------------------------------------------------------------------------


def parse_zone(name: str) -> ZoneInfo:
    """The zone of that IANA name, spelt exactly. Raises ValueError for any other: paths, "localtime", "right/UTC"."""
    if name not in _zone_names():
        raise ValueError(f"there is no time zone {name[:60]!r}")
    return ZoneInfo(name)


@cache
def _zone_names() -> frozenset[str]:
    # "Factory" is tzdata's way to say that nobody has chosen a zone yet.
    return frozenset(zoneinfo.available_timezones() - {"Factory"})


def start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The first instant at which the local clocks show the day's midnight, or a later time where they skip midnight.

    A day that is skipped as a whole (Apia, 30 December 2011) begins where the next one does.
    """
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)  # the first of two, where it comes twice
    at = midnight.astimezone(UTC)
    if at.astimezone(zone) == midnight:  # of one zone: compared as the clocks show them
        return at
    # Midnight is skipped. Read with the offset after the change it names an instant before it, and the other way round.
    before = midnight.replace(fold=1).astimezone(UTC)
    return _last_change(after=before, by=at, zone=zone)


def local_date(instant: datetime, zone: ZoneInfo) -> date:
    """The local day that holds the instant: it has begun (`start_of_day`), and the next one has not.

    It never runs backwards. Where the clocks go back over midnight (St John's until 2011: from 00:01 to 23:01), they
    show the old date once more, but the new day goes on.
    """
    local = instant.astimezone(zone)
    day = local.date()
    if local.fold and start_of_day(day + _DAY, zone) <= instant:
        return day + _DAY
    return day


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _last_change(*, after: datetime, by: datetime, zone: ZoneInfo) -> datetime:
    """The instant in (after, by] at which the zone took the offset that it has at `by`; it has another at `after`.

    Both are whole seconds, as every change of a zone is.
    """
    offset = _offset(by, zone)
    low, high = 0, (by - after) // _SECOND
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(after + middle * _SECOND, zone) == offset:
            high = middle
        else:
            low = middle
    return after + high * _SECOND


# --- windows ----------------------------------------------------------------------------------------------------------


def window_at(instant: datetime, window: Window, zone: ZoneInfo) -> Period:
    """The window of local time that holds the instant. Weeks begin on Monday.

    Minutes and hours begin where the local clocks show a full one, and where the zone's offset changes: on Lord Howe,
    whose clocks move by half an hour, an hour of 30 minutes stands beside each change.
    """
    if window == "minute" or window == "hour":
        return _clock_window(instant, window, zone)
    first, after = _days_of(local_date(instant, zone), window)
    return Period(start_of_day(first, zone), start_of_day(after, zone))


def windows_between(period: Period, window: Window, zone: ZoneInfo) -> Iterator[Period]:
    """The windows that share an instant with the period, oldest first; the first and the last cut to lie within it."""
    at = period.start
    while at < period.end:
        end = min(window_at(at, window, zone).end, period.end)
        yield Period(at, end)
        at = end


def _clock_window(instant: datetime, window: Literal["minute", "hour"], zone: ZoneInfo) -> Period:
    local = instant.astimezone(zone)
    minutes = local.minute if window == "hour" else 0
    start = instant - timedelta(minutes=minutes, seconds=local.second, microseconds=local.microsecond)
    end = start + _CLOCK_WINDOWS[window]
    offset, second, last = local.utcoffset(), instant.replace(microsecond=0), end - _SECOND
    if _offset(start, zone) != offset:
        start = _last_change(after=start, by=second, zone=zone)
    if _offset(last, zone) != offset:
        end = _last_change(after=second, by=last, zone=zone)
    return Period(start, end)


def _days_of(day: date, window: Literal["day", "week", "month"]) -> tuple[date, date]:
    """The first day of the window that holds the day, and the first day after it."""
    match window:
        case "day":
            return day, day + _DAY
        case "week":
            monday = day - day.weekday() * _DAY
            return monday, monday + 7 * _DAY
        case "month":
            first = day.replace(day=1)
            return first, _months_after(first, 1)


# --- billing instants -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BillingInstant:
    """When a subscription is billed: a date of its calendar, and the instant at which it began for the tenant.

    The two may part where the tenant's zone changes later: the date goes on to say which one was meant.
    """

    local_date: date
    at: datetime


def first_instant(start: datetime, zone: ZoneInfo) -> BillingInstant:
    """The start of a subscription, with the local date of it."""
    return BillingInstant(local_date(start, zone), start)


def next_instant(
    previous: BillingInstant, *, interval: Interval, anchor: Anchor, anchor_date: date, zone: ZoneInfo, count: int = 1
) -> BillingInstant:
    """The billing instant that follows; always after `previous.at`, whatever the zone was then.

    Anniversaries are counted from `anchor_date`, never from the date before: 31 January, 28 February, 31 March.
    """
    day = previous.local_date
    while True:
        _, day = full_dates(day, interval=interval, anchor=anchor, anchor_date=anchor_date, count=count)
        at = start_of_day(day, zone)
        # A tenant that has moved east across the date line since may have had this date before the previous instant.
        if at > previous.at:
            return BillingInstant(day, at)


def full_dates(
    day: date, *, interval: Interval, anchor: Anchor, anchor_date: date, count: int = 1
) -> tuple[date, date]:
    """The first date of the whole interval that holds the day, and the first date after it.

    An interval is `count` days, weeks, months, quarters or years long. On calendar months 15 January lies in
    (1 January, 1 February): the first period of a subscription from 15 January is a part of that. On the calendar weeks
    begin on Monday, and everything is counted from Monday, 1 January 2001, the same for all tenants.
    """
    origin = anchor_date if anchor == "anniversary" else _CALENDAR_ORIGIN
    if interval in _DAYS:
        length = _DAYS[interval] * count * _DAY
        first = origin + (day - origin) // length * length
        return first, first + length
    step = _MONTHS[interval] * count
    number = ((day.year - origin.year) * 12 + day.month - origin.month) // step
    if _months_after(origin, number * step) > day:
        number -= 1
    return _months_after(origin, number * step), _months_after(origin, (number + 1) * step)


def _months_after(day: date, months: int) -> date:
    """The same day of the month that many months later; its last day where it has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


# --- proration --------------------------------------------------------------------------------------------------------


def share_used(
    stretch: Period,
    *,
    full: tuple[date, date],
    zone: ZoneInfo,
    unit: Unit,
    known: Mapping[datetime, date] | None = None,
) -> tuple[int, int]:
    """How many days (or seconds) the stretch has, and how many the whole interval between the `full` dates.

    The local day (or the second) of the start counts, that of the end does not, however late in it the stretch ends: so
    the parts of a period sum to the period. Seconds of the whole are those that its days really have in the zone. The
    first number is never more than the second, not even where the zone has changed in between. `known` holds the dates
    that billing instants stand for: they were midnights in the zone of their time, which may be another now.
    """
    if unit == "day":
        first, last = (_date_of(at, known or {}, full, zone) for at in (stretch.start, stretch.end))
        used = (last - first).days
        whole = (full[1] - full[0]).days
    else:
        used = (stretch.end.replace(microsecond=0) - stretch.start.replace(microsecond=0)) // _SECOND
        whole = (start_of_day(full[1], zone) - start_of_day(full[0], zone)) // _SECOND
    return min(used, whole), whole


def _date_of(at: datetime, known: Mapping[datetime, date], full: tuple[date, date], zone: ZoneInfo) -> date:
    if at in known:
        return known[at]
    day = _date_begun(at, zone)
    return min(max(day, full[0]), full[1]) if known else day


def _date_begun(instant: datetime, zone: ZoneInfo) -> date:
    """The local date of the instant; the skipped one where that day and the next begin there together."""
    day = local_date(instant, zone)
    return day - _DAY if start_of_day(day - _DAY, zone) == instant else day


# --- hours of UTC -----------------------------------------------------------------------------------------------------


def hour_floor(instant: datetime) -> datetime:
    """The beginning of the hour of UTC that holds the instant."""
    return _hour((instant - _EPOCH) // _HOUR)


def hour_at(microseconds: int) -> datetime:
    """`hour_floor` of the instant so long after 1970."""
    return _hour(microseconds // HOUR_MICROSECONDS)


@lru_cache(maxsize=4096)
def _hour(number: int) -> datetime:
    return _EPOCH + number * _HOUR
