"""A year of hourly use of eight homes at the tariff of the file comes to what csv and Decimal come to."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from app.operations.audit_books import audit_books
from tests.examples.running import real_file, rows_of, to_cents
from tests.service import OPERATOR, event, service

# The file knows no change of the clocks, and Arizona has none. Its weekdays fit this year.
ZONE = ZoneInfo("America/Phoenix")
FIRST_HOUR = datetime(2016, 7, 31, 23, tzinfo=ZONE)
PRICE, USE = "Electricity Pricing [$/kWh]", "Equipment Electric Power [kWh]"
SUMMER, WEEKDAYS = [6, 7, 8, 9], ["mon", "tue", "wed", "thu", "fri"]
TARIFF = {
    "type": "time_of_use",
    "rates": [
        {"hours": ["15:00", "20:00"], "weekdays": WEEKDAYS, "months": SUMMER, "unit_price": "0.54"},
        {"hours": ["15:00", "20:00"], "weekdays": ["sat", "sun"], "months": SUMMER, "unit_price": "0.40"},
        {"hours": ["00:00", "24:00"], "months": SUMMER, "unit_price": "0.22"},
        {"hours": ["15:00", "20:00"], "unit_price": "0.50"},
    ],
    "default_unit_price": "0.21",
}
# The file numbers an hour by its end, and so changes the season an hour before the month does.
BEFORE_THEIR_SEASON = {"2016-09-30T23": ("0.21", "0.22"), "2017-05-31T23": ("0.22", "0.21")}


def hours() -> list[tuple[datetime, Decimal]]:
    """(start, price) of every hour of the file, in local time."""
    prices = [Decimal(row[PRICE]) for row in rows_of(real_file("citylearn_2022/pricing.csv.gz"))]
    found = [(FIRST_HOUR + number * timedelta(hours=1), price) for number, price in enumerate(prices)]
    for number, (at, price) in enumerate(found):
        if (early := BEFORE_THEIR_SEASON.get(f"{at:%Y-%m-%dT%H}")) is not None:
            assert price == Decimal(early[0])
            found[number] = at, Decimal(early[1])
    return found


def test_every_home_pays_each_hour_at_its_price(sqlite_url: str, tmp_path: Path) -> None:
    """8 homes, 13 months, 70,080 hours: of each month the kWh at each price, times that price, rounded once."""
    priced = hours()
    assert len(priced) == 8_760
    expected: dict[tuple[str, str], dict[Decimal, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with service(sqlite_url) as api:
        api.put("/v1/tenants/grid", OPERATOR | {"time_zone": ZONE.key, "currency": "USD"})
        api.put("/v1/meters/use", {"event_type": "home.hour", "aggregation": "sum", "property": "$.kwh", "unit": "kWh"})
        charges = [{"key": "use", "meter": "use", "model": TARIFF}]
        plan = {"name": "Homes", "currency": "USD", "interval": "month", "anchor": "calendar", "charges": charges}
        api.put("/v1/plans/homes", plan)
        api.post("/v1/plans/homes/publish", {"effective_at": "2016-01-01T00:00:00Z"})
        for number in range(1, 9):
            home = f"home-{number}"
            api.put(f"/v1/tenants/{home}", {"name": home, "currency": "USD", "time_zone": ZONE.key, "language": "en"})
            api.put(f"/v1/subscriptions/{home}", {"tenant": home, "plan": "homes", "start": "2016-07-01",
                                                  "end": "2017-08-01"})  # fmt: skip
            sent = []
            for row, (at, price) in zip(
                rows_of(real_file(f"citylearn_2022/Building_{number}.csv.gz")), priced, strict=True
            ):
                # What lies beyond is binary noise, in a few rows more of it than a measured value may have.
                kwh = Decimal(row[USE]).quantize(Decimal("1e-15"))
                expected[home, f"{at:%Y-%m}"][price] += kwh
                sent.append(event(f"{at:%Y-%m-%dT%H}", source="/meter", type="home.hour", subject=home,
                                  time=at.isoformat(), data={"kwh": format(kwh, "f")}))  # fmt: skip
            assert api.post("/v1/events", sent)["accepted"] == len(sent)
        run = api.bill("2017-08-02T00:00:00Z")
        assert (run["failed"], run["unpriced"]) == (0, [])

        billed: dict[tuple[str, str], tuple[Decimal, dict[Decimal, Decimal]]] = {}
        for invoice in api.invoices(limit=1000):
            [line] = invoice["lines"]
            local = datetime.fromisoformat(line["period"]["start"]).astimezone(ZONE)
            quantities: dict[Decimal, Decimal] = defaultdict(Decimal)
            for part in line["components"]:
                quantities[Decimal(part["unit_price"])] += Decimal(part["quantity"])
            billed[invoice["buyer"], f"{local:%Y-%m}"] = Decimal(line["amount"]), dict(quantities)
        assert len(billed) == 8 * 13
        assert billed == {
            month: (
                sum((to_cents(price * kwh) for price, kwh in by_price.items() if kwh), Decimal(0)),
                {price: kwh for price, kwh in by_price.items() if kwh},
            )
            for month, by_price in expected.items()
        }
        assert audit_books(api.client.app.state.database, now=api.clock()).differences == []  # type: ignore[attr-defined]
