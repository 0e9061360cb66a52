"""A bill of three clouds comes, for every sub-account, to the dollars that csv and Decimal come to."""

from __future__ import annotations

import csv
import time
from collections import Counter, defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from tests.examples.running import ROOT, example, lines_of, real_file, rows_of, to_cents

FILE = "focus_1_0_sample.csv"
PRICES = {
    "cost": Decimal("1.15"), "requests": Decimal("0.00000046"), "disk-io": Decimal("0.0000000575"),
    "credits": Decimal(1),
}  # fmt: skip
PRICED_BY_QUANTITY = {"0.0000004": "requests", "0.00000005": "disk-io"}
"""What the cloud asks for a unit, and the charge that has a price of its own for it."""


def sub_accounts() -> dict[str, str]:
    """The tenant of each SubAccountId."""
    tenants = yaml.safe_load((ROOT / "examples" / "cloud" / "catalog.yaml").read_text())["tenants"]
    return {account: tenant for tenant, body in tenants.items() for account in body.get("subjects", ())}


def quantities(rows: list[dict[str, str]]) -> dict[str, dict[str, Decimal]]:
    """By SubAccountId and charge, what the rows that can be billed come to."""
    found: dict[str, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(PRICES, Decimal(0)))
    for row in rows:
        of_account = found[row["SubAccountId"]]
        if row["ChargeCategory"] == "Credit":
            of_account["credits"] += Decimal(row["BilledCost"])
        elif row["ChargeCategory"] == "Usage":
            charge = PRICED_BY_QUANTITY.get(row["ListUnitPrice"], "cost")
            of_account[charge] += Decimal(row["BilledCost" if charge == "cost" else "PricingQuantity"])
    return found


def test_every_sub_account_pays_its_cost_and_markup_and_no_row_is_lost(sqlite_url: str, tmp_path: Path) -> None:
    file = real_file(FILE)
    rows = rows_of(file)
    tenants = sub_accounts()
    assert set(tenants) == {row["SubAccountId"] for row in rows}
    with example("cloud", sqlite_url, tmp_path) as running:
        report = running.send(file)
        assert (report.rows, report.events, report.accepted, report.quarantined) == (1000, 1000, 998, 2)
        listed = {row["id"]: row for row in running.not_accepted()}
        # What is neither use nor a credit waits for somebody to decide.
        assert set(listed) == {row["Id"] for row in rows if row["ChargeCategory"] not in ("Usage", "Credit")}
        assert {(row["status"], row["reason"], row["detail"]) for row in listed.values()} == {
            ("quarantined", "unknown_type", "no meter names the type 'cloud.charge.Adjustment.USD'")
        }
        month = {"start": "2024-09-01", "end": "2024-10-01"}
        by = {
            dimension: {
                each["group"][dimension]: Decimal(each["quantity"])
                for each in running.api.get("/v1/usage", meter="cost", group_by=dimension, **month)["data"]
            }
            for dimension in ("billed_in", "frequency", "unit", "provider")
        }
        invoices = running.invoices(through="2024-10-01T00:00:00Z")

    expected = quantities(rows)
    assert set(invoices) == set(tenants.values())
    for account, tenant in tenants.items():
        amounts = {key: to_cents(quantity * PRICES[key]) for key, quantity in expected[account].items()}
        assert lines_of(invoices[tenant]) == {key: (expected[account][key], amounts[key]) for key in PRICES}
        assert Decimal(invoices[tenant]["total"]) == sum(amounts.values())

    # Every cent of the file is in one place: passed on as cost, priced by quantity, a credit, or in quarantine.
    usage = [row for row in rows if row["ChargeCategory"] == "Usage"]
    costs = [row for row in usage if row["ListUnitPrice"] not in PRICED_BY_QUANTITY]
    by_quantity = [row for row in usage if row["ListUnitPrice"] in PRICED_BY_QUANTITY]
    parts = {
        "cost": sum(each["cost"] for each in expected.values()),
        "by quantity": sum(Decimal(row["BilledCost"]) for row in by_quantity),
        "credits": sum(each["credits"] for each in expected.values()),
        "quarantine": sum(Decimal(row["BilledCost"]) for row in rows if row["Id"] in listed),
    }
    assert sum(parts.values()) == sum(Decimal(row["BilledCost"]) for row in rows) == Decimal("20.52022672899")

    # What the README says.
    assert parts == {
        "cost": Decimal("22.86153592899"), "by quantity": Decimal("0.00039080000"),
        "credits": Decimal("-2.61370000000"), "quarantine": Decimal("0.27200000000"),
    }  # fmt: skip
    totals = Counter(Decimal(invoice["total"]) for invoice in invoices.values())
    assert (len(invoices), sum(total * number for total, number in totals.items())) == (73, Decimal("23.67"))
    assert totals[Decimal(0)] == 28
    of_no_cost = {row["SubAccountId"] for row in rows} - {
        row["SubAccountId"] for row in rows if Decimal(row["BilledCost"])
    }
    assert len(of_no_cost) == 3
    by_row = [(row["SubAccountId"], to_cents(Decimal(row["BilledCost"]) * PRICES["cost"])) for row in costs]
    assert sum(amount for account, amount in by_row if account == "18938484842") == Decimal("1.50")
    assert lines_of(invoices["aws-18938484842"])["cost"][1] == Decimal("1.54")
    assert len(by_row) == 972
    assert sum(not amount for (_, amount), row in zip(by_row, costs, strict=True) if Decimal(row["BilledCost"])) == 493
    assert (len(by_quantity), sum(each["requests"] for each in expected.values())) == (25, 977)
    assert min(abs(cost) for row in rows if (cost := Decimal(row["BilledCost"]))) == Decimal("4E-10")
    assert sum(Decimal(row["BilledCost"]) < 0 for row in usage) == 12
    assert sum(not Decimal(row["BilledCost"]) for row in rows) == 329
    assert by["billed_in"] == {
        "2024-09-01 00:00:00": Decimal("22.62153592899"), "2024-10-01 00:00:00": Decimal("0.24"),
    }  # fmt: skip
    assert by["frequency"] == {"usage-based": parts["cost"]}
    storage = [row for row in costs if row["PricingUnit"] in ("GB-Months", "GB Months", "GB/Month")]
    assert by["unit"]["GB-month"] == sum(Decimal(row["BilledCost"]) for row in storage) == Decimal("1.12802676287")
    assert {row["ProviderName"] for row in storage} == {"AWS", "Microsoft", "Oracle"}
    # 30 names are 27 units: three names of the GB-month, and two of the request.
    assert (len({row["PricingUnit"] for row in costs}), len(by["unit"])) == (30, 27)
    assert sum(by["provider"].values()) == parts["cost"]


def charge_row(id: str, **fields: str) -> dict[str, str]:
    """A row of the columns that the mapping reads: a cost of $1 of use in September, unless said otherwise."""
    row = {
        "Id": id, "ChargeCategory": "Usage", "BillingCurrency": "USD", "ChargePeriodStart": "2024-09-18 22:00:00",
        "SubAccountId": "10961396247", "BilledCost": "1.00000000000", "PricingQuantity": "1.00000000000",
        "PricingUnit": "Hours", "ChargeFrequency": "Usage-Based", "SkuPriceId": "NULL", "ProviderName": "AWS",
        "ServiceName": "Amazon Elastic Compute Cloud", "BillingPeriodStart": "2024-09-01 00:00:00",
    }  # fmt: skip
    return row | fields


def write(file: Path, rows: list[dict[str, str]]) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


DISK_IO = "HMXEBAWJ8U92AP23.JRTCKXETXF.6YS6EN2CT7"


def test_rows_that_the_real_file_does_not_have(sqlite_url: str, tmp_path: Path) -> None:
    """Each is billed, or listed with its reason; a negative sum is a credit note."""
    rows = [
        charge_row("whole"),
        # $50 of disk operations at the smallest price of the file; cut to 8 decimals, 0.0000000575 would make $60.00.
        charge_row("disk", SkuPriceId=DISK_IO, BilledCost="50", PricingQuantity="1000000000", PricingUnit="IOs"),
        charge_row("given-back", SubAccountId="12109731075", BilledCost="-3.00000000000", PricingQuantity="-2"),
        charge_row("credit", SubAccountId="15196455530", BilledCost="-3", ChargeCategory="Credit"),
        charge_row("october", ChargePeriodStart="2024-10-01 00:00:00"),
        charge_row("null", BilledCost="NULL"),
        charge_row("empty", BilledCost=""),
        charge_row("no-quantity", PricingQuantity="NULL"),
        charge_row("unit", PricingUnit="1M Requests"),
        charge_row("frequency", ChargeFrequency="usage based"),
        charge_row("time", ChargePeriodStart="NULL"),
        charge_row("tax", ChargeCategory="Tax"),
        charge_row("euros", BillingCurrency="EUR"),
        charge_row("nobody", SubAccountId="10000000000"),
    ]
    with example("cloud", sqlite_url, tmp_path) as running:
        report = running.send(write(tmp_path / "charges.csv", rows))
        assert (report.rows, report.accepted, report.unmapped, report.quarantined) == (14, 5, 6, 3)
        listed = {int(row["row"]): (row["status"], row["detail"]) for row in running.not_accepted()}
        assert {rows[number - 1]["Id"]: outcome for number, outcome in listed.items()} == {
            "null": ("unmapped", "data.cost: 'BilledCost' is 'NULL', which is not a number"),
            "empty": ("unmapped", "data.cost: 'BilledCost' is '', which is not a number"),
            "no-quantity": ("unmapped", "data.quantity: 'PricingQuantity' is 'NULL', which is not a number"),
            "unit": ("unmapped", "data.unit: units.csv has no row for 'PricingUnit' = '1M Requests'"),
            "frequency": (
                "unmapped", "data.frequency: frequencies.csv has no row for 'ChargeFrequency' = 'usage based'"
            ),
            "time": ("unmapped", "time: the time 'NULL' is not written as iso8601"),
            "tax": ("quarantined", "no meter names the type 'cloud.charge.Tax.USD'"),
            "euros": ("quarantined", "no meter names the type 'cloud.charge.Usage.EUR'"),
            "nobody": ("quarantined", "no tenant claims the subject '10000000000'"),
        }  # fmt: skip
        invoices = running.invoices(through="2024-10-01T00:00:00Z")

    def amounts(tenant: str) -> dict[str, str]:
        invoice: Any = invoices[tenant]
        return {line["charge"]: line["amount"] for line in invoice["lines"]} | {"total": invoice["total"]}

    assert amounts("aws-10961396247") == {
        "cost": "1.15", "requests": "0.00", "disk-io": "57.50", "credits": "0.00", "total": "58.65",
    }  # fmt: skip
    assert amounts("aws-12109731075")["total"] == "3.45"
    assert amounts("aws-15196455530")["total"] == "3.00"
    negative: Any = invoices["aws-12109731075"]
    assert (negative["type"], negative["status"], negative["due"]) == ("credit_note", "issued", "0.00")
    assert invoices["aws-17370686428"]["total"] == "0.00"


def test_what_waits_in_quarantine_is_billed_once_a_meter_and_a_charge_name_it(sqlite_url: str, tmp_path: Path) -> None:
    """Two adjustments of $0.192 and $0.08, passed on without a markup."""
    catalog = yaml.safe_load((ROOT / "examples" / "cloud" / "catalog.yaml").read_text())
    meter = catalog["meters"]["credits"] | {"event_type": "cloud.charge.Adjustment.USD"}
    plan = catalog["plans"]["resale"]
    del plan["publish"]
    charge = {"key": "adjustments", "meter": "adjustments", "model": {"type": "per_unit", "unit_price": "1"}}
    rows = [
        charge_row(str(number), BilledCost=cost, ChargeCategory="Adjustment")
        for number, cost in enumerate(("0.19200000000", "0.08000000000"))
    ]
    with example("cloud", sqlite_url, tmp_path) as running:
        report = running.send(write(tmp_path / "charges.csv", rows))
        assert (report.accepted, report.quarantined) == (0, 2)
        running.api.put("/v1/meters/adjustments", meter)
        # The version begins before they were used, in a month that is not billed yet.
        running.api.put("/v1/plans/resale", plan | {"charges": [*plan["charges"], charge]})
        running.api.post("/v1/plans/resale/publish", {"effective_at": "2024-09-10T00:00:00Z"})
        job = running.api.post("/v1/quarantine/releases", {"reason": "unknown_type"})
        deadline = time.monotonic() + 60
        while running.api.get("/v1/quarantine")["data"]:
            assert time.monotonic() < deadline, job
            time.sleep(0.05)
        invoice = running.invoices(through="2024-10-01T00:00:00Z")["aws-10961396247"]

    assert lines_of(invoice)["adjustments"] == (Decimal("0.272"), Decimal("0.27"))
    assert invoice["total"] == "0.27"
