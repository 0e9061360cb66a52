"""A year of booked slots comes to the hours and euros that csv, zoneinfo and Decimal come to."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.examples.running import example, lines_of, real_file, rows_of, to_cents

BERLIN = ZoneInfo("Europe/Berlin")
FILE = "dorm_washing_machines.csv"
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ")
PRICES = {"1": Decimal("0.80"), "2": Decimal("0.65")}
CLEANER = "Putzfrau"
CLOCK_CHANGES = {date(2023, 3, 26): 23, date(2023, 10, 29): 25}
"""The hours of the two days."""


def day_of(row: dict[str, str]) -> date:
    month = {"DEC": "DEZ"}.get(row["month"], row["month"])
    return date(int(row["year"]), MONTHS.index(month) + 1, int(row["day"]))


def instant_of(day: date, clock: str = "0:00") -> datetime:
    """The instant of a time of day in Germany."""
    hours, minutes = map(int, clock.split(":"))
    return datetime.combine(day, time(hours, minutes), BERLIN).astimezone(UTC)


def seconds_of(row: dict[str, str]) -> int:
    day = day_of(row)
    start, end = instant_of(day, row["start_time"]), instant_of(day, row["end_time"])
    if end < start:
        end = instant_of(day + timedelta(days=1), row["end_time"])
    return int((end - start).total_seconds())


def to_hours(seconds: int) -> Decimal:
    return (Decimal(seconds) / 3600).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_every_resident_pays_for_the_hours_booked_on_each_machine(sqlite_url: str, tmp_path: Path) -> None:
    file = real_file(FILE)
    rows = rows_of(file)
    with example("washing", sqlite_url, tmp_path) as running:
        report = running.send(file)
        assert (report.rows, report.accepted, report.quarantined) == (2346, 2242, 104)
        listed = running.not_accepted()
        of_the_cleaner = [str(number) for number, row in enumerate(rows, start=1) if row["pseudonym"] == CLEANER]
        assert [row["row"] for row in listed] == of_the_cleaner
        assert {(row["status"], row["reason"]) for row in listed} == {("quarantined", "unknown_tenant")}

        days = {
            (machine, day): running.api.get(
                "/v1/usage", meter=f"hours-{machine}", window="day", time_zone="Europe/Berlin",
                start=instant_of(day).isoformat(), end=instant_of(day + timedelta(days=1)).isoformat(),
            )["data"]
            for machine in PRICES for day in CLOCK_CHANGES
        }  # fmt: skip
        by_month = running.api.usage(
            "hours-1", tenant="m7", window="month", time_zone="Europe/Berlin",
            start="2022-11-30T23:00:00Z", end="2023-12-31T23:00:00Z",
        )  # fmt: skip
        invoices = running.invoices(through="2023-12-04T23:00:00Z")

    seconds: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        seconds[row["pseudonym"], row["machine"]] += seconds_of(row)
    residents = {row["pseudonym"] for row in rows} - {CLEANER}
    totals = {}
    for resident in residents:
        invoice = invoices[resident.lower()]
        hours = {machine: to_hours(seconds[resident, machine]) for machine in PRICES}
        expected = {f"machine-{key}": (hours[key], to_cents(hours[key] * price)) for key, price in PRICES.items()}
        assert lines_of(invoice) == expected
        net = sum((amount for _, amount in expected.values()), Decimal(0))
        totals[resident.lower()] = net + to_cents(net * Decimal("0.19"))
    assert {buyer: Decimal(invoice["total"]) for buyer, invoice in invoices.items()} == totals
    # What the README says.
    assert (len(totals), sum(totals.values())) == (111, Decimal("2067.87"))

    hours_by_month: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        if (row["pseudonym"], row["machine"]) == ("M7", "1"):
            start = instant_of(day_of(row).replace(day=1)).isoformat().replace("+00:00", "Z")
            hours_by_month[start] += to_hours(seconds_of(row))
    assert {start: Decimal(hours) for start, hours in by_month.items() if Decimal(hours)} == hours_by_month

    # The days of the clock changes have 23 and 25 hours, and the slots that were booked on them.
    for (machine, day), windows in days.items():
        on_day = [row for row in rows if (day_of(row), row["machine"]) == (day, machine)]
        assert sum(Decimal(each["quantity"]) for each in windows) == to_hours(sum(map(seconds_of, on_day)))
        for window in windows:
            length = datetime.fromisoformat(window["end"]) - datetime.fromisoformat(window["start"])
            assert length == timedelta(hours=CLOCK_CHANGES[day])


def test_slots_across_midnight_and_clock_changes_and_rows_that_cannot_be_read(sqlite_url: str, tmp_path: Path) -> None:
    """The real file has no slot in the hours that the clocks skip or repeat: these rows have."""
    file = tmp_path / "slots.csv"
    file.write_text(
        "weekday,day,month,year,start_time,end_time,duration(in h),pseudonym,sex,machine\n"
        "Fr,31,MAR,2023,23:00,0:00,1.0,F1,f,1\n"  # into another month: one hour, in March
        "So,26,MAR,2023,1:00,4:00,3.0,F1,f,1\n"  # two hours: 2:00 to 3:00 is skipped
        "So,29,OKT,2023,1:00,4:00,3.0,F1,f,1\n"  # four hours: 2:00 to 3:00 comes twice
        "Di,7,MRZ,2023,12:00,13:00,1.0,F1,f,1\n"  # a name of the month that the table does not have
        "So,26,MAR,2023,2:30,4:00,1.5,F1,f,1\n"  # begins at a time that never was
        "Di,31,APR,2023,12:00,13:00,1.0,F1,f,1\n"  # no such day
        "Di,7,MAR,2023,12:00,,1.0,F1,f,1\n"
    )
    with example("washing", sqlite_url, tmp_path) as running:
        report = running.send(file)
        assert (report.rows, report.accepted, report.unmapped) == (7, 3, 4)
        assert running.api.usage("hours-1", tenant="f1") == {"": "7"}
        march = {"start": "2023-03-01", "end": "2023-04-01", "window": "month", "time_zone": "Europe/Berlin"}
        assert list(running.api.usage("hours-1", tenant="f1", **march).values()) == ["3"]
        listed = {row["row"]: row["detail"] for row in running.not_accepted()}
        assert list(listed) == ["4", "5", "6", "7"]
        assert "months.csv has no row for 'month' = 'MRZ'" in listed["4"]
        assert "is skipped by the clock change in Europe/Berlin" in listed["5"]
        assert "'31 4 2023 12:00' is not written as" in listed["6"]
