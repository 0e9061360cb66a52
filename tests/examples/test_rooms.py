"""Three rooms come to the minutes and euros that csv, zoneinfo and Decimal come to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.importing.record import ImportReport
from app.importing.replay import run_import
from tests.examples.running import ROOT, Example, example, lines_of, real_file, rows_of, to_cents
from tests.service import ADMIN_KEY

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
CLOCKS_GO_BACK = date(2022, 10, 30)
VAT = Decimal("0.21")
THROUGH = "2022-11-02T23:00:00Z"


def file_of(room: str) -> Path:
    return real_file(f"office_room_{room}_raw_properties.csv.gz")


def instant_of(row: dict[str, str]) -> datetime:
    return datetime.strptime(row["timestamp"], "%Y-%m-%dT%H:%M:%S%z").astimezone(UTC)


def local_day(row: dict[str, str]) -> date:
    return instant_of(row).astimezone(AMSTERDAM).date()


def with_vat(net: Decimal) -> Decimal:
    return net + to_cents(net * VAT)


def days_of(running: Example, meter: str, room: str) -> dict[date, tuple[int, int]]:
    """By local day: its hours, and what the service says was used."""
    windows = running.api.get(
        "/v1/usage", meter=meter, resource=f"room-{room}", window="day", time_zone="Europe/Amsterdam",
        start="2022-10-05T22:00:00Z", end=THROUGH,
    )["data"]  # fmt: skip
    found = {}
    for window in windows:
        start, end = datetime.fromisoformat(window["start"]), datetime.fromisoformat(window["end"])
        hours = (end - start) // timedelta(hours=1)
        found[start.astimezone(AMSTERDAM).date()] = hours, int(window["quantity"])
    return found


def send_phones(running: Example, file: Path) -> ImportReport:
    return run_import(
        file, ROOT / "examples" / "rooms" / "mapping-phones.yaml", client=running.api.client, key=ADMIN_KEY,
        report_path=running.report_path, state_path=running.report_path.with_name("state.json"),
    )  # fmt: skip


# What the README says of the two rooms with a sensor: rows, rows of other devices, occupied minutes, and the bill.
MEASURED_ROOMS = [
    ("917810", "atelier-noord", 37613, 3167, 4678, "283.02"),
    ("999169", "ijssel-advies", 40163, 5717, 2890, "174.85"),
]


@pytest.mark.parametrize(("room", "tenant", "row_count", "skipped", "occupied", "total"), MEASURED_ROOMS)
def test_a_room_is_billed_by_its_occupied_minutes(
    room: str, tenant: str, row_count: int, skipped: int, occupied: int, total: str, sqlite_url: str, tmp_path: Path
) -> None:
    file = file_of(room)
    rows = rows_of(file)
    read = [row for row in rows if row["source"] == "bms"]
    with example("rooms", sqlite_url, tmp_path) as running:
        report = running.send(file)
        # Every row is an event, or skipped because its `source` is another device; none is reported.
        assert (report.rows, report.accepted, report.skipped) == (len(rows), len(read), len(rows) - len(read))
        assert (report.rows, report.skipped) == (row_count, skipped)
        assert running.not_accepted() == []
        measured, used = days_of(running, "measured", room), days_of(running, "occupied", room)
        invoice = running.invoices(through=THROUGH)[tenant]

    minutes = sum(int(row["occupancy__bool"]) for row in read)
    assert minutes == occupied
    amount = to_cents(minutes * Decimal("0.05"))
    assert lines_of(invoice) == {"occupied": (Decimal(minutes), amount), "measured": (Decimal(len(read)), Decimal(0))}
    assert invoice["total"] == total == str(with_vat(amount))

    # By local day. The one on which the clocks go back has 25 hours; the sensor missed both that are called 2:00.
    readings = Counter(map(local_day, read))
    occupied_minutes = Counter(dict.fromkeys(readings, 0))
    for row in read:
        occupied_minutes[local_day(row)] += int(row["occupancy__bool"])
    assert measured == {day: (25 if day == CLOCKS_GO_BACK else 24, number) for day, number in readings.items()}
    assert {day: minutes for day, (_, minutes) in used.items()} == occupied_minutes
    # What run.sh prints of the gaps.
    assert [day for day, (hours, number) in measured.items() if hours * 60 - number > 5] == [CLOCKS_GO_BACK]
    assert measured[CLOCKS_GO_BACK] == (25, 1378)
    assert (measured[date(2022, 10, 29)], measured[date(2022, 10, 31)]) == ((24, 1438), (24, 1437))
    assert {number for day, (_, number) in measured.items() if day != CLOCKS_GO_BACK} == {1437, 1438}
    instants = sorted(map(instant_of, read))
    longest, before = max((after - before, before) for before, after in pairwise(instants))
    assert (longest, before.isoformat()) == (timedelta(hours=2, minutes=1, seconds=16), "2022-10-29T23:59:18+00:00")


def test_the_room_without_a_sensor_pays_by_the_month_and_sees_its_readings(sqlite_url: str, tmp_path: Path) -> None:
    """4,701 rows are 3,861 readings, 770 rows of other devices, and 70 in which the device did not count."""
    file = file_of("925038")
    rows = rows_of(file)
    device = [(number, row) for number, row in enumerate(rows, start=1) if row["source"] == "CO2-meter-SCD4x"]
    uncounted = [number for number, row in device if not row["occupancy__p"]]
    read = [row for _, row in device if row["occupancy__p"]]
    with example("rooms", sqlite_url, tmp_path) as running:
        report = send_phones(running, file)
        assert (report.rows, report.accepted, report.skipped, report.unmapped) == (4701, 3861, 770, 70)
        assert (len(rows), len(read), len(rows) - len(device)) == (4701, 3861, 770)
        listed = running.not_accepted()
        assert [int(row["row"]) for row in listed] == uncounted
        assert {(row["status"], row["detail"]) for row in listed} == {
            ("unmapped", "data.phones: 'occupancy__p' is '', which is not a number")
        }
        days = days_of(running, "readings", "925038")
        night = running.api.usage(
            "readings", resource="room-925038", window="hour", time_zone="Europe/Amsterdam",
            start="2022-10-29T23:00:00Z", end="2022-10-30T03:00:00Z",
        )  # fmt: skip
        invoice = running.invoices(through=THROUGH)["hanze-coaching"]

    by_day = Counter(map(local_day, read))
    assert days == {day: (25 if day == CLOCKS_GO_BACK else 24, number) for day, number in by_day.items()}
    # A reading every ten minutes: 144 on a whole day, and 150 on the one of 25 hours.
    assert days[CLOCKS_GO_BACK] == (25, 150)
    assert (days[date(2022, 10, 29)], days[date(2022, 10, 31)]) == ((24, 144), (24, 143))
    assert max(number for day, (_, number) in days.items() if day != CLOCKS_GO_BACK) == 144
    # Two hours of that night are called 2:00: they begin at 0:00 and at 1:00 UTC, and both were read.
    assert night == {f"2022-10-{hour}:00:00Z": "6" for hour in ("29T23", "30T00", "30T01", "30T02")}
    with_phones = sum(int(row["occupancy__p"]) > 0 for row in read)
    # 28 of the 31 days from 6 October to 6 November.
    room = to_cents(Decimal("155.00") * 28 / 31)
    assert lines_of(invoice) == {
        "room": (Decimal(1), room), "with-phones": (Decimal(with_phones), Decimal(0)),
        "readings": (Decimal(len(read)), Decimal(0)),
    }  # fmt: skip
    assert (with_phones, invoice["total"]) == (468, "169.40")
    assert Decimal(invoice["total"]) == with_vat(room)


def test_the_file_without_the_column_is_not_taken_for_an_empty_room(sqlite_url: str, tmp_path: Path) -> None:
    """The mapping of the other rooms refuses it whole, before a single event."""
    file = file_of("925038")
    with example("rooms", sqlite_url, tmp_path) as running:
        with pytest.raises(Exception, match="has no column 'occupancy__bool'"):
            running.send(file)
        assert running.api.get("/v1/events", tenant="hanze-coaching")["data"] == []


def reading(timestamp: str, occupied: str, *, source: str = "bms", room: str = "917810") -> str:
    return f"{room},{source},{timestamp},{occupied}\n"


def test_the_repeated_hour_counts_twice_and_what_cannot_be_read_is_reported(sqlite_url: str, tmp_path: Path) -> None:
    """The sensor missed the repeated hour: these rows have it, with rows that the real files do not have."""
    file = tmp_path / "readings.csv"
    lines = [
        reading("2022-10-30T02:30:18+0100", "1"),  # the second 2:30 stands first, and sorting by text would not help
        reading("2022-10-30T02:30:18+0200", "1"),
        reading("2022-10-30T00:00:00+0200", "1"),  # the first minute of the day
        reading("2022-10-30T23:59:59+0100", "1"),  # the last one
        reading("2022-10-29T23:59:59+0200", "1"),  # the day before
        reading("2022-10-30T12:00:18+0100", "0"),
        reading("2022-10-30T12:01:18+0100", ""),
        reading("2022-10-30T12:02:18+0100", "2"),
        reading("2022-10-30T12:03:18+0100", "1.0"),
        reading("2022-10-30T12:04:18", "1"),  # no offset: which instant this is, nobody can say
        reading("2022-10-30 noon", "1"),
        reading("2022-10-30T12:05:18+0100", "1", room="917811"),  # nobody rents it
        reading("2022-10-30T12:06:18+0100", "1,1"),  # a cell too many
        reading("2022-10-30T12:07:18+0100", "1", source="xovis"),
        reading("2022-10-30T02:30:18+0200", "1"),  # sent twice
    ]
    file.write_text("id,source,timestamp,occupancy__bool\n" + "".join(lines))
    with example("rooms", sqlite_url, tmp_path) as running:
        report = running.send(file)
        assert (report.rows, report.accepted, report.duplicates, report.skipped) == (15, 6, 1, 1)
        assert (report.quarantined, report.unmapped) == (1, 6)
        days = {meter: days_of(running, meter, "917810") for meter in ("occupied", "measured")}
        listed: dict[str, Any] = {row["row"]: row["detail"] for row in running.not_accepted()}

    assert days["occupied"] == {date(2022, 10, 29): (24, 1), CLOCKS_GO_BACK: (25, 4)}
    assert days["measured"] == {date(2022, 10, 29): (24, 1), CLOCKS_GO_BACK: (25, 5)}
    assert listed == {
        "7": "data.occupied: presence.csv has no row for 'occupancy__bool' = ''",
        "8": "data.occupied: presence.csv has no row for 'occupancy__bool' = '2'",
        "9": "data.occupied: presence.csv has no row for 'occupancy__bool' = '1.0'",
        "10": "time: the time '2022-10-30T12:04:18' has no offset; give the mapping's time a `zone`",
        "11": "time: the time '2022-10-30 noon' is not written as iso8601",
        "12": "no tenant claims the subject '917811'",
        "13": "line 14: 5 fields where the header has 4",
    }
