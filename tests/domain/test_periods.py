"""Days, windows, billing instants and shares, in every time zone there is.

Two zones with the same rules are tested once, under one of their names; all names are covered that way.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.periods import (
    Anchor,
    BillingInstant,
    Interval,
    Period,
    Unit,
    Window,
    first_instant,
    full_dates,
    local_date,
    next_instant,
    parse_zone,
    share_used,
    start_of_day,
    window_at,
    windows_between,
)

FIRST, LAST = date(1990, 1, 1), date(2040, 1, 1)
DAY, HOUR, MINUTE, TICK = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)
WINDOWS: tuple[Window, ...] = get_args(Window)

# Zones that have broken billing systems: half-hour shifts, offsets of quarters, days without midnight or none at all.
ODD_ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Havana", "America/Nuuk", "America/Sao_Paulo",
    "America/Santiago", "America/St_Johns", "Antarctica/Troll", "Asia/Amman", "Asia/Beirut", "Asia/Gaza",
    "Asia/Kathmandu", "Asia/Pyongyang", "Asia/Tehran", "Atlantic/Azores", "Australia/Lord_Howe", "Europe/Dublin",
    "Europe/Paris", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Kwajalein", "UTC",
)  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00").astimezone(UTC)


@cache
def distinct_zones() -> tuple[ZoneInfo, ...]:
    """One zone for each set of rules in tzdata."""
    files = resources.files("tzdata").joinpath("zoneinfo")
    by_rules = {files.joinpath(*name.split("/")).read_bytes(): name for name in sorted(zoneinfo.available_timezones())}
    return tuple(ZoneInfo(name) for name in by_rules.values())


def offset_at(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


@cache
def changes(zone: ZoneInfo) -> tuple[tuple[datetime, timedelta], ...]:
    """Every instant at which the zone's offset changes, with the offset from then on; the first is that of FIRST."""
    instants = [datetime(1989, 12, 1, tzinfo=UTC) + number * timedelta(days=4) for number in range(4_600)]
    offsets = [offset_at(instant, zone) for instant in instants]
    found = [(instants[0], offsets[0])]
    for before, after in zip(range(len(instants)), range(1, len(instants)), strict=False):
        if offsets[before] != offsets[after]:
            low, high = instants[before], instants[after]
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) // timedelta(seconds=2) * timedelta(seconds=1)
                low, high = (low, middle) if offset_at(middle, zone) == offsets[after] else (middle, high)
            found.append((high, offsets[after]))
    return tuple(found)


def slow_start_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The definition, read off the list of changes: the first instant whose wall time is midnight or later."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    ends = [at for at, _ in changes(zone)[1:]]
    for (begin, offset), end in zip(changes(zone), [*ends, None], strict=True):
        if end is not None and end < midnight - 3 * DAY:
            continue
        first = max(begin, midnight - offset)
        if end is None or first < end:
            return first
    raise AssertionError("the last offset lasts for ever")


def tiles(windows: Iterable[Period], whole: Period) -> bool:
    """The windows follow one another without gap or overlap, from the start of the whole to its end."""
    windows = list(windows)
    joined = all(first.end == second.start for first, second in pairwise(windows))
    return joined and (windows[0].start, windows[-1].end) == (whole.start, whole.end)


def show(windows: Iterable[Period], zone: ZoneInfo) -> list[str]:
    """Each window as the local clocks show its start, with its length."""
    return [f"{item.start.astimezone(zone):%d %H:%M} {item.end - item.start}" for item in windows]


# --- periods and zones ------------------------------------------------------------------------------------------------


def test_a_period_lies_between_two_instants_in_utc():
    start, end = utc("2026-01-01T00:00"), utc("2026-02-01T00:00")

    assert Period(start, end) == Period(start=start, end=end)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (utc("2026-01-01T00:00"), utc("2026-01-01T00:00")),
        (utc("2026-01-02T00:00"), utc("2026-01-01T00:00")),
        (datetime(2026, 1, 1), utc("2026-02-01T00:00")),  # noqa: DTZ001
        (utc("2026-01-01T00:00"), datetime(2026, 2, 1, tzinfo=ZoneInfo("Europe/London"))),
        (utc("2026-01-01T00:00"), datetime(2026, 2, 1, tzinfo=ZoneInfo("UTC"))),
    ],
    ids=["empty", "backwards", "naive", "offset zero by chance", "another UTC"],
)
def test_what_is_no_period_in_utc_is_refused(start: datetime, end: datetime):
    with pytest.raises(ValueError, match="period"):
        Period(start, end)


def test_every_iana_name_is_a_time_zone():
    names = zoneinfo.available_timezones() - {"Factory"}

    assert len(names) > 590
    assert all(parse_zone(name).key == name for name in names)


@pytest.mark.parametrize(
    "name",
    ["", "Europe", "europe/paris", "Europe/Paris ", "Europe//Paris", "/usr/share/zoneinfo/UTC", "../UTC",
     "Europe/../UTC", "localtime", "posixrules", "posix/UTC", "right/UTC", "Factory", "CEST", "+02:00", "UTC\0",
     "\ud800", "x" * 10_000],
)  # fmt: skip
def test_other_names_are_no_time_zones(name: str):
    with pytest.raises(ValueError, match="no time zone") as refusal:
        parse_zone(name)

    assert len(str(refusal.value)) < 400


def test_zones_come_from_the_tzdata_package_not_from_the_machine():
    """Two workers on two machines find the same instant for a date."""
    assert zoneinfo.TZPATH == ()


# --- days -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "zone", "start"),
    [
        ("2026-03-29", "Europe/Paris", "2026-03-28T23:00"),
        ("2026-03-30", "Europe/Paris", "2026-03-29T22:00"),
        ("2026-01-01", "Asia/Kathmandu", "2025-12-31T18:15"),
        ("2017-10-15", "America/Sao_Paulo", "2017-10-15T03:00"),  # 00:00 to 01:00 is skipped
        ("2018-02-18", "America/Sao_Paulo", "2018-02-18T03:00"),  # 23:00 to 00:00 comes twice
        ("2026-03-29", "Asia/Beirut", "2026-03-28T22:00"),  # 00:00 to 01:00 is skipped
        ("2026-10-25", "Asia/Beirut", "2026-10-24T22:00"),  # 23:00 to 00:00 comes twice
        ("2026-03-08", "America/Havana", "2026-03-08T05:00"),  # 00:00 to 01:00 is skipped
        ("2026-11-01", "America/Havana", "2026-11-01T04:00"),  # 00:00 to 01:00 comes twice: its first time
        ("2010-11-07", "America/St_Johns", "2010-11-07T02:30"),  # 23:01 to 00:01 comes twice: midnight's first time
        ("2011-03-13", "America/St_Johns", "2011-03-13T03:30"),  # 00:01 to 01:01 is skipped; midnight is not
        ("2010-03-28", "America/Scoresbysund", "2010-03-28T01:00"),  # 00:00 to 01:00 is skipped
        ("2011-12-29", "Pacific/Apia", "2011-12-29T10:00"),
        ("2011-12-30", "Pacific/Apia", "2011-12-30T10:00"),  # there was no such day
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00"),
        ("1919-03-31", "America/Toronto", "1919-03-31T04:30"),  # 23:30 to 00:30 is skipped: midnight lies inside
    ],
)
def test_a_day_begins_when_the_clocks_first_show_its_midnight_or_later(day: str, zone: str, start: str):
    begins = start_of_day(date.fromisoformat(day), ZoneInfo(zone))

    assert begins == utc(start)
    assert begins.tzinfo is UTC


def test_days_around_every_change_of_every_zone_begin_as_the_definition_says():
    wrong = [
        (zone.key, day)
        for zone in distinct_zones()
        for at, _ in changes(zone)[1:]
        for day in (at.date() + number * DAY for number in range(-1, 3))
        if start_of_day(day, zone) != slow_start_of_day(day, zone)
    ]

    assert wrong == []


def test_the_definition_agrees_with_clocks_watched_minute_by_minute():
    """Checks the yardstick of the test above, on the days after which its answers could go wrong."""
    for name, day in [
        ("America/Sao_Paulo", date(2017, 10, 15)), ("America/Havana", date(2026, 11, 1)),
        ("America/St_Johns", date(2010, 11, 7)), ("Asia/Beirut", date(2026, 10, 25)),
        ("Pacific/Apia", date(2011, 12, 30)),
    ]:  # fmt: skip
        zone, midnight = ZoneInfo(name), datetime(day.year, day.month, day.day)  # noqa: DTZ001
        minutes = (utc(f"{day - DAY}T06:00") + number * MINUTE for number in range(2 * 24 * 60))

        watched = next(at for at in minutes if at.astimezone(zone).replace(tzinfo=None) >= midnight)

        assert slow_start_of_day(day, zone) == watched


def test_the_local_date_is_the_day_that_has_begun_and_not_ended():
    """It never goes back, around any change of any zone, even where the clocks do."""
    for zone in distinct_zones():
        for at, _ in changes(zone)[1:]:
            instants = [
                at + number * timedelta(minutes=61) + nudge for number in (-23, -1, 0, 1, 23) for nudge in (-TICK, TICK)
            ]
            dates = [local_date(instant, zone) for instant in instants]

            assert dates == sorted(dates), zone.key
            for instant, day in zip(instants, dates, strict=True):
                assert start_of_day(day, zone) <= instant < start_of_day(day + DAY, zone), (zone.key, instant)


def test_a_date_does_not_come_back_when_the_clocks_go_back_over_midnight():
    """St John's, 7 November 2010: midnight at 02:30 UTC; at 00:01 the clocks went back to 23:01 of the 6th."""
    zone = ZoneInfo("America/St_Johns")
    shown = utc("2010-11-07T02:45").astimezone(zone)

    assert (shown.day, shown.hour) == (6, 23)
    assert local_date(utc("2010-11-07T02:45"), zone) == date(2010, 11, 7)
    assert local_date(utc("2010-11-07T02:29"), zone) == date(2010, 11, 6)


# --- windows ----------------------------------------------------------------------------------------------------------


def test_windows_of_an_ordinary_instant():
    """Thursday 5 March 2026, 14:20:30 in Kathmandu, 5 h 45 min east of Greenwich."""
    zone, instant = ZoneInfo("Asia/Kathmandu"), utc("2026-03-05T08:35:30")

    windows = {window: window_at(instant, window, zone) for window in WINDOWS}

    assert windows == {
        "minute": Period(utc("2026-03-05T08:35"), utc("2026-03-05T08:36")),
        "hour": Period(utc("2026-03-05T08:15"), utc("2026-03-05T09:15")),
        "day": Period(utc("2026-03-04T18:15"), utc("2026-03-05T18:15")),
        "week": Period(utc("2026-03-01T18:15"), utc("2026-03-08T18:15")),
        "month": Period(utc("2026-02-28T18:15"), utc("2026-03-31T18:15")),
    }


def test_lord_howe_has_a_half_hour_beside_each_change_of_its_clocks():
    zone = ZoneInfo("Australia/Lord_Howe")
    spring = Period(utc("2026-10-03T14:30"), utc("2026-10-03T17:00"))  # 02:00 becomes 02:30
    autumn = Period(utc("2026-04-04T14:00"), utc("2026-04-04T16:30"))  # 02:00 becomes 01:30

    assert show(windows_between(spring, "hour", zone), zone) == [
        "04 01:00 1:00:00",
        "04 02:30 0:30:00",
        "04 03:00 1:00:00",
    ]
    assert show(windows_between(autumn, "hour", zone), zone) == [
        "05 01:00 1:00:00",
        "05 01:30 0:30:00",
        "05 02:00 1:00:00",
    ]


def test_an_hour_that_the_clocks_show_twice_is_two_windows():
    """Paris, 25 October 2026: 02:00 to 03:00 comes twice; the day has 25 hours."""
    zone = ZoneInfo("Europe/Paris")
    day = window_at(utc("2026-10-25T12:00"), "day", zone)

    hours = list(windows_between(day, "hour", zone))

    assert len(hours) == 25
    assert show(hours, zone)[2:4] == ["25 02:00 1:00:00", "25 02:00 1:00:00"]


def test_a_skipped_day_has_no_window():
    """Samoa went from Thursday 29 December 2011 to Saturday the 31st: that week and month are a day shorter."""
    zone = ZoneInfo("Pacific/Apia")
    week = window_at(utc("2011-12-30T00:00"), "week", zone)
    month = window_at(utc("2011-12-30T00:00"), "month", zone)

    assert show(windows_between(week, "day", zone), zone) == [
        f"{day} 00:00 1 day, 0:00:00" for day in ("26", "27", "28", "29", "31", "01")
    ]
    assert (week.end - week.start, month.end - month.start) == (6 * DAY, 30 * DAY)


def test_a_day_without_midnight_starts_at_one_o_clock():
    """Sao Paulo, 15 October 2017: the clocks went from 00:00 to 01:00, so the day had 23 hours."""
    zone = ZoneInfo("America/Sao_Paulo")
    days = Period(utc("2017-10-14T03:00"), utc("2017-10-17T02:00"))

    assert show(windows_between(days, "day", zone), zone) == [
        "14 00:00 1 day, 0:00:00", "15 01:00 23:00:00", "16 00:00 1 day, 0:00:00",
    ]  # fmt: skip


def test_windows_are_cut_to_the_period_asked_for():
    """10:20 to 12:10 by the hour: 40 minutes, an hour, ten minutes."""
    period = Period(utc("2026-05-01T10:20"), utc("2026-05-01T12:10"))

    lengths = [item.end - item.start for item in windows_between(period, "hour", ZoneInfo("UTC"))]

    assert lengths == [40 * MINUTE, HOUR, 10 * MINUTE]


def test_windows_tile_the_time_around_every_change_of_every_zone():
    reaches: dict[Window, timedelta] = {"minute": 3 * MINUTE, "hour": 2 * HOUR, "day": 2 * DAY, "week": 2 * DAY}
    for zone in distinct_zones():
        for at in few_changes(zone):
            for window, reach in reaches.items():
                check_windows(Period(at - reach, at + reach), window, zone)


@pytest.mark.parametrize("name", ODD_ZONES)
def test_windows_tile_whole_years_of_odd_zones(name: str):
    zone = ZoneInfo(name)
    for year in (1993, 1994, 2010, 2011, 2017, 2018, 2026, 2038):
        whole = Period(start_of_day(date(year, 1, 1), zone), start_of_day(date(year + 1, 1, 1), zone))
        days, weeks, months = (list(windows_between(whole, window, zone)) for window in ("day", "week", "month"))

        assert tiles(days, whole) and tiles(weeks, whole) and tiles(months, whole)
        assert len(months) == 12
        assert all(
            first.end != second.start or first.end in {day.start for day in days} for first, second in pairwise(weeks)
        )


def few_changes(zone: ZoneInfo) -> Iterator[datetime]:
    """One change of each kind: what the clocks showed, and by how much they moved."""
    kinds = {(before, after, (at + before).time()): at for (_, before), (at, after) in pairwise(changes(zone))}
    yield from kinds.values()


def check_windows(whole: Period, window: Window, zone: ZoneInfo) -> None:
    windows = list(windows_between(whole, window, zone))
    assert tiles(windows, whole), (zone.key, window, whole)
    for item in windows:
        full = window_at(item.start, window, zone)
        assert full.start <= item.start and item.end <= full.end
        for instant in (full.start, item.start + (item.end - item.start) / 2, full.end - TICK):
            assert window_at(instant, window, zone) == full, (zone.key, window, instant)
        if window in ("minute", "hour"):
            assert full.end - full.start <= {"minute": MINUTE, "hour": HOUR}[window]
            assert offset_at(full.start, zone) == offset_at(full.end - TICK, zone)
            shown = {(at.astimezone(zone).day, at.astimezone(zone).hour) for at in (full.start, full.end - TICK)}
            assert len(shown) == 1


@given(
    name=st.sampled_from(sorted(zoneinfo.available_timezones())),
    instant=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)),  # noqa: DTZ001
    length=st.timedeltas(TICK, timedelta(days=3)),
    window=st.sampled_from(WINDOWS[1:]),
)
def test_windows_tile_any_period(name: str, instant: datetime, length: timedelta, window: Window):
    start, zone = instant.replace(tzinfo=UTC), ZoneInfo(name)

    check_windows(Period(start, start + length), window, zone)


# --- billing instants -------------------------------------------------------------------------------------------------


def instants_from(
    start: date, interval: Interval, anchor: Anchor, zone: ZoneInfo, *, until: date, count: int = 1
) -> Iterator[BillingInstant]:
    instant = first_instant(start_of_day(start, zone), zone)
    while instant.local_date < until:
        yield instant
        instant = next_instant(instant, interval=interval, anchor=anchor, anchor_date=start, zone=zone, count=count)
    yield instant


def dates_from(start: str, interval: Interval, anchor: Anchor, count: int) -> list[str]:
    found = instants_from(date.fromisoformat(start), interval, anchor, ZoneInfo("Europe/Paris"), until=LAST)
    return [next(found).local_date.isoformat() for _ in range(count)]


@pytest.mark.parametrize(
    ("interval", "anchor", "dates"),
    [
        # Lago billing_boundaries_spec: 01-31..02-28, 02-29..03-30, 03-31..04-29.
        ("month", "anniversary", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
        # Flexprice billing_commitment_test: 31 -> 28 -> 31 -> 30; in 2028, 29.
        ("month", "anniversary", ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]),
        ("month", "anniversary", ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]),
        ("month", "anniversary", ["2026-11-30", "2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]),
        ("year", "anniversary", ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]),
        ("year", "anniversary", ["2026-06-15", "2027-06-15", "2028-06-15"]),
        ("month", "calendar", ["2026-01-15", "2026-02-01", "2026-03-01", "2026-04-01"]),
        ("month", "calendar", ["2026-12-01", "2027-01-01", "2027-02-01"]),
        ("year", "calendar", ["2026-06-15", "2027-01-01", "2028-01-01"]),
        ("quarter", "calendar", ["2026-02-15", "2026-04-01", "2026-07-01", "2026-10-01", "2027-01-01"]),
        ("quarter", "anniversary", ["2025-11-30", "2026-02-28", "2026-05-30", "2026-08-30"]),
        ("quarter", "anniversary", ["2023-11-30", "2024-02-29", "2024-05-30"]),
        ("week", "calendar", ["2026-12-30", "2027-01-04", "2027-01-11"]),  # a Wednesday, then Mondays
        ("week", "anniversary", ["2026-12-30", "2027-01-06", "2027-01-13"]),
        ("day", "calendar", ["2028-02-28", "2028-02-29", "2028-03-01"]),
        ("day", "anniversary", ["2027-02-28", "2027-03-01", "2027-03-02"]),
    ],
)
def test_billing_dates_follow_the_anchor(interval: Interval, anchor: Anchor, dates: list[str]):
    assert dates_from(dates[0], interval, anchor, len(dates)) == dates


@pytest.mark.parametrize(
    ("interval", "count", "anchor", "dates"),
    [
        ("day", 10, "anniversary", ["2026-02-25", "2026-03-07", "2026-03-17"]),
        # 9 131 days after Monday, 1 January 2001 comes 1 January 2026: 913 tens and one.
        ("day", 10, "calendar", ["2026-01-05", "2026-01-10", "2026-01-20", "2026-01-30"]),
        (
            "week",
            2,
            "calendar",
            ["2026-01-01", "2026-01-12", "2026-01-26"],
        ),  # 1 304 weeks after it comes 29 December 2025
        ("month", 2, "calendar", ["2026-02-10", "2026-03-01", "2026-05-01"]),
        ("month", 6, "anniversary", ["2023-08-31", "2024-02-29", "2024-08-31"]),
        ("year", 2, "calendar", ["2026-06-15", "2027-01-01", "2029-01-01"]),  # from odd years, as 2001 is one
        ("year", 2, "anniversary", ["2024-02-29", "2026-02-28", "2028-02-29"]),
    ],
)
def test_a_period_may_have_several_intervals(interval: Interval, count: int, anchor: Anchor, dates: list[str]):
    """On the calendar they are counted from Monday, 1 January 2001, whenever the subscription began."""
    found = instants_from(
        date.fromisoformat(dates[0]), interval, anchor, ZoneInfo("Asia/Tokyo"), until=LAST, count=count
    )

    assert [next(found).local_date.isoformat() for _ in dates] == dates


@pytest.mark.parametrize("interval", ["week", "month", "quarter", "year"])
@pytest.mark.parametrize("anchor", ["calendar", "anniversary"])
def test_billing_instants_of_every_zone_leave_no_gap_and_no_overlap(interval: Interval, anchor: Anchor):
    """The anchors take turns, so that each day of a month meets many zones."""
    for number, zone in enumerate(distinct_zones()):
        start = FIRST + (number * 37 % 366) * DAY
        check_instants(start, interval, anchor, zone, until=date(2002, 1, 1) if interval == "week" else LAST)


@pytest.mark.parametrize("anchor", ["calendar", "anniversary"])
def test_daily_instants_around_every_change_of_every_zone_leave_no_gap(anchor: Anchor):
    """A day that a zone skips is no period: its date begins with the next one's, and is passed over."""
    for zone in distinct_zones():
        for at, _ in changes(zone)[1::7]:
            start = at.date() - 2 * DAY
            instants = list(instants_from(start, "day", anchor, zone, until=start + 5 * DAY))
            days = [start + number * DAY for number in range(6)]
            begin = {start_of_day(day, zone): day for day in reversed(days)}
            assert [(item.at, item.local_date) for item in instants] == sorted(begin.items())


def test_ten_days_in_every_zone_follow_one_another():
    for number, zone in enumerate(distinct_zones()):
        start, anchor = date(1992, 1, 1 + number % 31), get_args(Anchor)[number % 2]
        instants = list(instants_from(start, "day", anchor, zone, until=date(1997, 1, 1), count=10))
        days = {(after.local_date - before.local_date).days for before, after in pairwise(instants)}
        assert days - {(instants[1].local_date - start).days} <= {10}
        assert all(item.at == start_of_day(item.local_date, zone) for item in instants)


@pytest.mark.parametrize("name", ["Africa/Cairo", "America/Havana", "America/Sao_Paulo", "Asia/Beirut", "Pacific/Apia"])
def test_billing_instants_of_every_anchor_leave_no_gap_and_no_overlap(name: str):
    """Month by month from every day of January and from 29 February 1992, where midnights and days are skipped."""
    for start in (*(FIRST + number * DAY for number in range(31)), date(1992, 2, 29)):
        check_instants(start, "month", "anniversary", ZoneInfo(name))


def check_instants(start: date, interval: Interval, anchor: Anchor, zone: ZoneInfo, until: date = LAST) -> None:
    instants = list(instants_from(start, interval, anchor, zone, until=until))
    counted = 0
    for before, after in pairwise(instants):
        first, end = full_dates(before.local_date, interval=interval, anchor=anchor, anchor_date=start)
        assert before.at < after.at, (zone.key, before, after)
        assert after == BillingInstant(end, start_of_day(end, zone))
        # Only the first period on a calendar may begin inside its interval.
        assert first == before.local_date or (anchor == "calendar" and before is instants[0] and first < start)
        counted += (end - max(first, start)).days
    assert counted == (instants[-1].local_date - start).days


def test_no_zone_loses_or_doubles_a_billing_day_in_fifty_years():
    """Every period's days, counted by instants as proration does, sum to the days of its dates."""
    for number, zone in enumerate(distinct_zones()):
        start = date(1990, 1, 1 + number % 31)
        for before, after in pairwise(instants_from(start, "month", "anniversary", zone, until=LAST)):
            full = (before.local_date, after.local_date)
            used, whole = share_used(Period(before.at, after.at), full=full, zone=zone, unit="day")
            assert used == whole == (full[1] - full[0]).days, (zone.key, before)


@pytest.mark.parametrize("interval", get_args(Interval))
@pytest.mark.parametrize("anchor", ["calendar", "anniversary"])
@given(
    day=st.dates(date(1971, 1, 1), date(2100, 1, 1)), anchor_date=st.dates(date(1971, 1, 1), date(2100, 1, 1)),
    count=st.integers(1, 5),
)  # fmt: skip
def test_every_date_lies_in_one_interval(interval: Interval, anchor: Anchor, day: date, anchor_date: date, count: int):
    first, end = full_dates(day, interval=interval, anchor=anchor, anchor_date=anchor_date, count=count)

    assert first <= day < end
    for other in (first, end - DAY):
        assert full_dates(other, interval=interval, anchor=anchor, anchor_date=anchor_date, count=count) == (first, end)


def test_a_subscription_starts_on_the_local_date_of_its_first_instant():
    """04:30 UTC on 1 July is still 30 June in Denver."""
    start = utc("2026-07-01T04:30")

    assert first_instant(start, ZoneInfo("America/Denver")) == BillingInstant(date(2026, 6, 30), start)


def test_a_changed_zone_takes_effect_from_the_next_instant():
    """February began in Paris; the tenant has moved to New York, where March begins six hours later than there."""
    february = BillingInstant(date(2026, 2, 1), utc("2026-01-31T23:00"))

    march = next_instant(
        february, interval="month", anchor="calendar", anchor_date=date(2026, 1, 1), zone=ZoneInfo("America/New_York")
    )

    assert march == BillingInstant(date(2026, 3, 1), utc("2026-03-01T05:00"))


def test_a_date_that_is_over_already_in_the_new_zone_is_passed_over():
    """From 31 January 23:30 in Niue on; in Kiritimati, 25 hours ahead, February had begun by then: March is next."""
    start = utc("2026-02-01T10:30")
    first = first_instant(start, ZoneInfo("Pacific/Niue"))

    following = next_instant(
        first, interval="month", anchor="calendar", anchor_date=first.local_date, zone=ZoneInfo("Pacific/Kiritimati")
    )

    assert first.local_date == date(2026, 1, 31)
    assert following == BillingInstant(date(2026, 3, 1), utc("2026-02-28T10:00"))


@given(
    zones=st.lists(st.sampled_from(sorted(zoneinfo.available_timezones())), min_size=2, max_size=12),
    start=st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
    interval=st.sampled_from(get_args(Interval)),
    anchor=st.sampled_from(["calendar", "anniversary"]),
)
def test_instants_go_forward_whatever_zone_the_tenant_moves_to(
    zones: list[str], start: datetime, interval: Interval, anchor: Anchor
):
    previous = first_instant(start.replace(tzinfo=UTC), ZoneInfo(zones[0]))
    anchor_date = previous.local_date

    for name in zones[1:]:
        following = next_instant(
            previous, interval=interval, anchor=anchor, anchor_date=anchor_date, zone=ZoneInfo(name)
        )

        assert (following.at, following.local_date) > (previous.at, previous.local_date)
        assert following.at == start_of_day(following.local_date, ZoneInfo(name))
        previous = following


# --- proration --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "zone", "days"),
    [
        ("2023-06-16T05:00", "America/Denver", 4),  # Thursday 15 June, 23:00
        ("2023-06-16T05:00", "America/Halifax", 3),  # Friday 16 June, 02:00
        ("2023-06-16T20:00", "Europe/Paris", 3),  # Friday 16 June, 22:00
        ("2023-06-16T20:00", "Asia/Karachi", 2),  # Saturday 17 June, 01:00
    ],
)
def test_the_local_date_decides_how_many_days_are_billed(start: str, zone: str, days: int):
    """Lago invoices_spec: 7.00 a week in advance, so 1.00 for each day from the local start to Sunday, 18 June."""
    week = (date(2023, 6, 12), date(2023, 6, 19))
    place = ZoneInfo(zone)

    used, full = share_used(Period(utc(start), start_of_day(week[1], place)), full=week, zone=place, unit="day")

    assert (used, full) == (days, 7)


def test_the_day_of_the_start_counts_and_the_day_of_the_end_does_not():
    """8 May 10:00 to 20 May 18:00 in Paris: the 8th to the 19th, 12 of 31 days."""
    stretch = Period(utc("2026-05-08T08:00"), utc("2026-05-20T16:00"))
    may = (date(2026, 5, 1), date(2026, 6, 1))

    assert share_used(stretch, full=may, zone=ZoneInfo("Europe/Paris"), unit="day") == (12, 31)


def test_a_whole_month_is_used_in_full_however_long_it_is():
    """Lago billing_boundaries_spec: 7.00 a month is 7.00 for February 2024, 29 of 29 days."""
    zone, february = ZoneInfo("Europe/Paris"), (date(2024, 2, 1), date(2024, 3, 1))
    stretch = Period(start_of_day(february[0], zone), start_of_day(february[1], zone))

    assert share_used(stretch, full=february, zone=zone, unit="day") == (29, 29)


def test_a_skipped_day_counts_in_the_period_that_its_date_lies_in():
    """Samoa skipped 30 December 2011. Periods from the 30th on: 30 of 30 days before it, 31 of 31 from it on."""
    zone, dates = ZoneInfo("Pacific/Apia"), (date(2011, 11, 30), date(2011, 12, 30), date(2012, 1, 30))

    shares = [
        share_used(Period(start_of_day(first, zone), start_of_day(end, zone)), full=(first, end), zone=zone, unit="day")
        for first, end in pairwise(dates)
    ]

    assert shares == [(30, 30), (31, 31)]


def test_by_second_a_month_has_the_seconds_that_it_really_has():
    """March 2026 in Paris is an hour short: 31 x 86 400 - 3 600. Its second half begins on the 16th at noon."""
    stretch = Period(utc("2026-03-16T11:00"), utc("2026-03-31T22:00"))
    march = (date(2026, 3, 1), date(2026, 4, 1))

    used, full = share_used(stretch, full=march, zone=ZoneInfo("Europe/Paris"), unit="second")

    assert (used, full) == (15 * 86_400 + 43_200 - 3_600, 31 * 86_400 - 3_600)


def test_a_period_that_ran_in_another_zone_is_used_in_full_and_not_more():
    """A January of Paris, and one from its start to the end of January in New York, seen after the move to New York."""
    january, zone = (date(2026, 1, 1), date(2026, 2, 1)), ZoneInfo("America/New_York")
    start = utc("2025-12-31T23:00")

    for end in (utc("2026-01-31T23:00"), utc("2026-02-01T05:00")):
        assert share_used(Period(start, end), full=january, zone=zone, unit="day") == (31, 31)
        used, full = share_used(Period(start, end), full=january, zone=zone, unit="second")
        assert used == full == 31 * 86_400


@given(
    name=st.sampled_from(sorted(zoneinfo.available_timezones())),
    day=st.dates(FIRST, LAST),
    interval=st.sampled_from(get_args(Interval)),
    anchor=st.sampled_from(["calendar", "anniversary"]),
    cuts=st.lists(st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=5),
    unit=st.sampled_from(["day", "second"]),
)
def test_the_parts_of_a_period_sum_to_the_period(
    name: str, day: date, interval: Interval, anchor: Anchor, cuts: list[float], unit: Unit
):
    zone = ZoneInfo(name)
    full = full_dates(day, interval=interval, anchor=anchor, anchor_date=date(1990, 1, 31))
    whole = Period(start_of_day(full[0], zone), start_of_day(full[1], zone))
    inner = {whole.start + (whole.end - whole.start) * cut for cut in cuts} - {whole.start, whole.end}
    pieces = [Period(start, end) for start, end in pairwise(sorted({whole.start, *inner, whole.end}))]

    shares = [share_used(piece, full=full, zone=zone, unit=unit) for piece in pieces]

    assert sum(used for used, _ in shares) == shares[0][1]
    assert all(0 <= used <= of for used, of in shares)
