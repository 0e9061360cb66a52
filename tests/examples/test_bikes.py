"""A month of trips comes to the seconds and dollars that csv and Decimal come to."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import yaml

from tests.examples.running import ROOT, example, lines_of, real_file, rows_of, to_cents

FILE = "bikeshare_bayarea_2014-11.csv.gz"
HOURS_INCLUDED = {"san-francisco": 1600, "east-bay": 500, "peninsula": 600, "south-bay": 400}


def payers() -> dict[str, str]:
    """The programme that answers to each ZIP code."""
    tenants = yaml.safe_load((ROOT / "examples" / "bikes" / "catalog.yaml").read_text())["tenants"]
    return {code: tenant for tenant, body in tenants.items() for code in body.get("subjects", ())}


def half_hours_begun(seconds: int) -> int:
    return max(0, -(-seconds // 1800))


def test_every_trip_is_billed_to_its_programme_or_waits_in_quarantine(sqlite_url: str, tmp_path: Path) -> None:
    file = real_file(FILE)
    rows = rows_of(file)
    by_code = payers()
    trips: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    half_hours_by_trip: Counter[str] = Counter()
    unclaimed = []
    for number, row in enumerate(rows, start=1):
        payer = "kiosks" if row["subscription_type"] == "Customer" else by_code.get(row["zip_code"])
        if payer is None:
            unclaimed.append((str(number), row["trip_id"], f"no tenant claims the subject '{row['zip_code']}'"))
            continue
        trips[payer] += 1
        seconds[payer] += int(row["duration"])
        half_hours_by_trip[payer] += half_hours_begun(int(row["duration"]) - 1800)

    with example("bikes", sqlite_url, tmp_path) as running:
        report = running.send(file)
        assert (report.rows, report.accepted, report.quarantined) == (25516, 24501, 1015)
        listed = running.not_accepted()
        assert [(row["row"], row["id"], row["detail"]) for row in listed] == unclaimed
        assert {(row["status"], row["reason"]) for row in listed} == {("quarantined", "unknown_tenant")}
        invoices = running.invoices(through="2014-12-01T08:00:00Z")

    assert invoices.keys() == trips.keys()
    totals = {}
    for payer, invoice in invoices.items():
        price = Decimal("3.00" if payer == "kiosks" else "0.35")
        if payer == "kiosks":
            riding = to_cents(seconds[payer] * Decimal("0.001"))
        else:
            riding = Decimal(4 * half_hours_begun(seconds[payer] - 3600 * HOURS_INCLUDED[payer]))
        by_trip = to_cents(trips[payer] * price)
        expected = {"trip": (Decimal(trips[payer]), by_trip), "riding": (Decimal(seconds[payer]), riding)}
        assert lines_of(invoice) == expected
        totals[payer] = by_trip + riding
    assert {payer: Decimal(invoice["total"]) for payer, invoice in invoices.items()} == totals

    # What the README says: the totals, and what 30 minutes free in every trip would have come to.
    assert sum(totals.values()) == Decimal("28245.79")
    by_trip_rule = {payer: 4 * half_hours_by_trip[payer] for payer in HOURS_INCLUDED}
    assert by_trip_rule == {"san-francisco": 860, "east-bay": 96, "peninsula": 300, "south-bay": 200}
    assert {payer: lines_of(invoices[payer])["riding"][1] for payer in HOURS_INCLUDED} == {
        "san-francisco": 1140, "east-bay": 312, "peninsula": 456, "south-bay": 0,
    }  # fmt: skip
    mistyped = [each for each in unclaimed if not (len(code := each[2].split("'")[1]) == 5 and code.isdigit())]
    assert len(mistyped) == 67
