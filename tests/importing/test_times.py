"""Times as files write them, and the time between them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.importing.times import TimeRules, elapsed, read_instant, read_stretch

LOS_ANGELES = TimeRules(zone=ZoneInfo("America/Los_Angeles"))
BERLIN = TimeRules(formats=("%d %m %Y %H:%M",), zone=ZoneInfo("Europe/Berlin"))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2019-09-01 09:56:18-07:00", "2019-09-01T16:56:18+00:00"),
        ("2022-10-30T02:10:00+0200", "2022-10-30T00:10:00+00:00"),
        ("2022-10-30T02:10:00+0100", "2022-10-30T01:10:00+00:00"),
        ("2014-11-01T07:01:00Z", "2014-11-01T07:01:00+00:00"),
        (" 2014-11-01T07:01:00Z ", "2014-11-01T07:01:00+00:00"),
    ],
)
def test_a_time_with_an_offset_is_an_instant_whatever_the_zone(text, instant):
    """The offset wins over the zone; +0200 without a colon is common in files."""
    assert read_instant(text, LOS_ANGELES) == at(instant)


def test_digits_past_the_microsecond_are_cut_off():
    """Seven decimals, .9799609 s, are .979960: cut, never rounded up into another second."""
    assert read_instant("2023-11-16 18:17:03.9799609", TimeRules(zone=ZoneInfo("UTC"))).microsecond == 979_960
    assert read_instant("2023-11-16 18:17:03.9999999", TimeRules(zone=ZoneInfo("UTC"))) == at(
        "2023-11-16T18:17:03.999999+00:00"
    )


def test_a_repeated_local_time_is_its_first_occurrence_unless_stated():
    """2019-11-03 01:30 in Los Angeles: first at -07:00 (08:30 UTC), then at -08:00 (09:30 UTC)."""
    zone = LOS_ANGELES.zone

    assert read_instant("2019-11-03 01:30", LOS_ANGELES) == at("2019-11-03T08:30:00+00:00")
    assert read_instant("2019-11-03 01:30", TimeRules(zone=zone, repeated="second")) == at("2019-11-03T09:30:00+00:00")
    with pytest.raises(ValueError, match="happens twice in America/Los_Angeles"):
        read_instant("2019-11-03 01:30", TimeRules(zone=zone, repeated="error"))


def test_a_skipped_local_time_is_an_error_unless_stated():
    """2019-03-10 02:30 never happened in Los Angeles; read forward it is 03:30 at -07:00, 10:30 UTC."""
    forward = TimeRules(zone=LOS_ANGELES.zone, skipped="forward")

    assert read_instant("2019-03-10 02:30", forward) == at("2019-03-10T10:30:00+00:00")
    with pytest.raises(ValueError, match="skipped by the clock change"):
        read_instant("2019-03-10 02:30", LOS_ANGELES)


def test_a_local_time_without_zone_says_what_to_do():
    with pytest.raises(ValueError, match="has no offset; give the mapping's time a `zone`"):
        read_instant("2019-09-01 10:00", TimeRules())


def test_the_year_14_is_an_error_that_a_pattern_mends():
    """A file writes 0014 for 2014. As it stands that is before 1970; `00%y` reads the two digits that are there."""
    with pytest.raises(ValueError, match=r"before 1970.*00%y"):
        read_instant("0014-11-18 15:40:26", LOS_ANGELES)

    mended = TimeRules(formats=("00%y-%m-%d %H:%M:%S",), zone=LOS_ANGELES.zone)
    assert read_instant("0014-11-18 15:40:26", mended) == at("2014-11-18T23:40:26+00:00")


@pytest.mark.parametrize("text", ["0001-01-01 00:00", "9999-12-31 23:59", "not a time", "2019-02-30", "24:00"])
def test_what_is_no_time_is_a_value_error(text):
    with pytest.raises(ValueError):
        read_instant(text, TimeRules(zone=ZoneInfo("America/Los_Angeles" if text.startswith("9") else "Asia/Tokyo")))


def test_several_patterns_are_tried_in_order():
    rules = TimeRules(formats=("iso8601", "%d/%m/%Y %H:%M"), zone=ZoneInfo("Europe/Paris"))

    assert read_instant("01/02/2026 08:00", rules) == read_instant("2026-02-01 08:00", rules)


def test_elapsed_time_is_measured_between_instants_across_a_clock_change():
    """00:30 to 03:30 in the night of 3 November 2019: the clock shows 3 hours, 4 pass."""
    start, end = read_stretch("2019-11-03 00:30", "2019-11-03 03:30", (LOS_ANGELES, LOS_ANGELES), wraps=False)

    assert elapsed(start, end, "hours") == "4"
    assert elapsed(start, end, "seconds") == "14400"


def test_hours_are_exact_to_twelve_decimals_half_up():
    """40 min are 0.666..67 h, 39 min 20 s 0.6555..56 h, 50 min 0.8333..33 h; one microsecond 0.000000000278 h."""
    zero = at("2019-09-01T00:00:00+00:00")
    cases = [(2400, "0.666666666667"), (2360, "0.655555555556"), (3000, "0.833333333333"), (5400, "1.5"), (0, "0")]

    assert [elapsed(zero, zero + timedelta(seconds=s), "hours") for s, _ in cases] == [text for _, text in cases]
    assert elapsed(zero, zero + timedelta(microseconds=1), "hours") == "0.000000000278"
    assert elapsed(zero, zero + timedelta(microseconds=1), "seconds") == "0.000001"


@given(st.integers(min_value=0, max_value=10**16))
def test_elapsed_hours_are_never_off_by_more_than_half_of_the_last_decimal(microseconds):
    start = datetime(1970, 1, 1, tzinfo=UTC)
    text = elapsed(start, start + timedelta(microseconds=microseconds), "hours")

    assert abs(Fraction(text) - Fraction(microseconds, 3_600_000_000)) <= Fraction(1, 2 * 10**12)
    assert "E" not in text.upper()


def test_a_slot_that_ends_at_midnight_wraps_to_the_next_day():
    """23:00 to 0:00 of the same date: 1 hour. Without wrapping the end lies before the start."""
    rules = (BERLIN, BERLIN)

    start, end = read_stretch("29 3 2023 23:00", "29 3 2023 0:00", rules, wraps=True)

    assert elapsed(start, end, "hours") == "1"
    with pytest.raises(ValueError, match="is before the start"):
        read_stretch("29 3 2023 23:00", "29 3 2023 0:00", rules, wraps=False)


def test_a_slot_wraps_over_the_night_of_a_clock_change():
    """22:00 on 25 March 2023 to 4:00: the clock went from 2 to 3, so 5 hours; on 28 October 7."""
    spring = read_stretch("25 3 2023 22:00", "25 3 2023 4:00", (BERLIN, BERLIN), wraps=True)
    autumn = read_stretch("28 10 2023 22:00", "28 10 2023 4:00", (BERLIN, BERLIN), wraps=True)

    assert (elapsed(*spring, "hours"), elapsed(*autumn, "hours")) == ("5", "7")


def test_an_end_in_the_repeated_hour_is_its_second_occurrence_where_the_first_is_too_early():
    """From 2:45 to 2:15 on 29 October 2023: half an hour, not a day less half an hour; nor an error."""
    start, end = read_stretch("29 10 2023 2:45", "29 10 2023 2:15", (BERLIN, BERLIN), wraps=True)

    assert elapsed(start, end, "hours") == "0.5"


@pytest.mark.parametrize("name", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca"])
def test_every_instant_of_a_year_is_found_again_from_its_local_time(name):
    """Local minutes, read back: the same instant, or in a repeated hour the first of the two."""
    zone = ZoneInfo(name)
    rules = TimeRules(zone=zone)
    instant = datetime(2019, 1, 1, tzinfo=UTC)
    for _ in itertools.repeat(None, 8760 * 2):
        local = instant.astimezone(zone)
        found = read_instant(local.replace(tzinfo=None).isoformat(), rules)
        assert found == (instant if not local.fold else local.replace(fold=0).astimezone(UTC))
        instant += timedelta(minutes=30)
