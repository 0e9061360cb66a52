"""The end of a month in the books: what is accrued is what the invoices bring, what is deferred is not yet earned."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from app.domain.month_end import part_until
from app.domain.periods import Period
from tests.scenarios.test_books import issued, start, year
from tests.service import Api, event, service


def month_end(api: Api, as_of: str, **query: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/v1/exports/month-end", as_of=as_of, **query)
    return found


def by_charge(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str]:
    return {(row["tenant"], row["charge"]): row["amount"] for row in rows}


def subscribe(api: Api, tenant: str = "acme", since: str = "2026-10-01") -> None:
    api.put(f"/v1/subscriptions/{tenant}-1", {"tenant": tenant, "plan": "standard", "start": since})


def test_what_is_accrued_at_the_end_of_a_month_is_what_its_invoice_brings(api: Api) -> None:
    """10 kWh at 0.3333 are 3.33, the press 4.90 less 7 % is 4.56; access was billed in advance. Once the invoice of
    November has come, the same day has the same accrued, and the next one has nothing of it."""
    start(api)
    subscribe(api)
    api.post("/v1/events", [event("1", time="2026-11-10T10:00:00Z", data={"kwh": "10"})])
    api.bill("2026-11-01T00:00:00Z")
    api.clock.set("2026-11-30T20:00:00+00:00")
    before = month_end(api, "2026-11-30")
    assert by_charge(before["accrued"]) == {("acme", "energy"): "3.33", ("acme", "press"): "4.56"}
    assert before["accrued"][0]["account"] == "418100"
    assert before["deferred"] == []
    api.clock.set("2026-12-02T06:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    lines = {
        line["charge"]: line["amount"] for line in issued(api)[-1]["lines"] if line["period"]["end"] <= "2026-12-01"
    }
    assert lines == {"energy": "3.33", "press": "4.56"}
    assert month_end(api, "2026-11-30")["accrued"] == before["accrued"]
    december = {row["charge"]: row["period"]["start"] for row in month_end(api, "2026-12-02")["accrued"]}
    assert december == {"press": "2026-11-30T23:00:00Z"}, "two days of December, and nothing of November"


def test_use_of_an_open_period_is_accrued_up_to_the_day(api: Api) -> None:
    """5 kWh by the 15th, 5 more later: 1.67 of 3.33; and 15 of 30 days of 4.90 less 7 %: 2.45 - 0.17 = 2.28."""
    start(api)
    subscribe(api)
    api.clock.set("2026-11-01T06:00:00+00:00")
    api.bill("2026-11-01T00:00:00Z")
    api.clock.set("2026-11-23T12:00:00+00:00")
    for id, day in (("1", "10"), ("2", "20")):
        api.post("/v1/events", [event(id, time=f"2026-11-{day}T10:00:00Z", data={"kwh": "5"})])
    expected = {("acme", "energy"): "1.67", ("acme", "press"): "2.28"}
    assert by_charge(month_end(api, "2026-11-15")["accrued"]) == expected
    api.clock.set("2026-12-02T06:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    assert by_charge(month_end(api, "2026-11-15")["accrued"]) == expected, "also once its invoice is there"


def test_what_is_invoiced_in_advance_is_deferred_by_days(api: Api) -> None:
    """19.99 for November, issued on 23 November: seen on the 24th, 6 of 30 days are to come: 19.99 - 15.99 = 4.00."""
    start(api)
    subscribe(api, since="2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    api.clock.set("2026-11-24T12:00:00+00:00")
    (row,) = month_end(api, "2026-11-24")["deferred"]
    assert (row["amount"], row["charge"], row["document"], row["account"]) == (
        "4.00",
        "access",
        "2026-000001",
        "487000",
    )
    assert row["period"] == {"start": "2026-11-24T23:00:00Z", "end": "2026-11-30T23:00:00Z"}
    assert month_end(api, "2026-11-22")["deferred"] == [], "it was not issued yet"
    assert by_charge(month_end(api, "2026-11-22")["accrued"])["acme", "access"] == "14.66", "22 of 30 days of 19.99"


def test_late_use_of_billed_months_is_accrued_until_it_is_billed(api: Api) -> None:
    """10 kWh of October, known in November: 3.33 more for October; cancelled use is owed back."""
    start(api)
    subscribe(api)
    api.post("/v1/events", [event("1", data={"kwh": "20"})])
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events", [event("2", data={"kwh": "10"})])
    assert by_charge(month_end(api, "2026-11-23")["accrued"])["acme", "energy"] == "3.33"
    body = {"tenant": "acme", "source": "/chargers/12", "id": "1", "reason": "fault"}
    api.post("/v1/events/cancellations", body)
    assert by_charge(month_end(api, "2026-11-23")["accrued"])["acme", "energy"] == "-3.34", "6.67 were billed for 20"


def test_vat_is_owed_when_it_is_invoiced_or_when_it_is_paid(api: Api) -> None:
    """19.99 with 4.00 of VAT, of 23.99 half is paid: 2.00 is owed on payment, 2.00 waits."""
    start(api, "on_payment")
    subscribe(api, since="2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = issued(api)
    api.post(f"/v1/invoices/{invoice['id']}/payments", {"amount": "12.00", "paid_on": "2026-11-23"})
    found = month_end(api, "2026-11-23")
    (row,) = found["vat"]
    assert (row["base"], row["invoiced"], row["due"], row["awaiting_payment"]) == ("19.99", "4.00", "2.00", "2.00")
    assert found["aged"] == [{
        "tenant": "acme", "currency": "EUR", "not_due": "11.99", "0-30": "0.00", "31-60": "0.00", "61-90": "0.00",
        "90+": "0.00", "total": "11.99",
    }]  # fmt: skip
    (totals,) = found["totals"]
    assert (totals["vat_due"], totals["vat_awaiting_payment"], totals["receivable"]) == ("2.00", "2.00", "11.99")
    assert month_end(api, "2026-11-22")["vat"] == []


def test_over_a_year_what_was_accrued_is_what_was_invoiced_since(sqlite_url: str) -> None:
    """At the end of each month of 2025, looked at from the end of the year: what is accrued is what later documents
    billed for periods that had ended, and nothing is accrued once all is billed."""
    with service(sqlite_url) as api:
        start(api)
        year(api, seed=3)
        documents = issued(api)
        for month in range(2, 13):
            day = datetime(2025, month, 1, tzinfo=ZoneInfo("Europe/Paris"))
            billed_later: dict[tuple[str, str], Decimal] = {}
            for one in documents:
                if datetime.fromisoformat(one["issued_at"]) < day:
                    continue
                sign = -1 if one["type"] == "credit_note" else 1
                for line in one["lines"]:
                    if datetime.fromisoformat(line["period"]["end"]) <= day:
                        key = (one["buyer"], line["charge"])
                        billed_later[key] = billed_later.get(key, Decimal(0)) + sign * Decimal(line["amount"])
            as_of = (day - timedelta(days=1)).date().isoformat()
            found = {key: Decimal(amount) for key, amount in by_charge(month_end(api, as_of)["accrued"]).items()}
            pending = {
                key: Decimal(amount) for key, amount in by_charge(month_end(api, "2026-01-01")["accrued"]).items()
            }
            # What is still to be corrected of those months belongs to both.
            assert {key: amount for key, amount in billed_later.items() if amount and key[1] == "press"} == {
                key: amount for key, amount in found.items() if key[1] == "press"
            }
            for tenant in ("acme", "borealis", "cobalt"):
                billed, open_ = (rows.get((tenant, "energy"), Decimal(0)) for rows in (billed_later, pending))
                assert found.get((tenant, "energy"), Decimal(0)) - billed in (Decimal(0), open_)


def test_the_month_end_is_a_table_and_a_workbook_too(api: Api) -> None:
    start(api)
    subscribe(api, since="2026-11-01")
    api.bill("2026-11-01T00:00:00Z")
    answer = api.call("GET", "/v1/exports/month-end.csv", params={"as_of": "2026-11-23"})
    assert answer.headers["content-disposition"] == 'attachment; filename="month-end-2026-11-23.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    sums = {
        section: sum(Decimal(row["amount"]) for row in rows if row["section"] == section)
        for section in ("accrued", "deferred", "aged")
    }
    (totals,) = month_end(api, "2026-11-23")["totals"]
    assert [str(sums[name]) for name in ("accrued", "deferred", "aged")] == [
        totals["accrued"], totals["deferred"], totals["receivable"],
    ]  # fmt: skip
    book = openpyxl.load_workbook(io.BytesIO(api.call("GET", "/v1/exports/month-end.xlsx").content))
    assert book.sheetnames == ["Accrued", "Deferred", "Vat", "Aged"]
    assert api.call("GET", "/v1/exports/month-end.json", params={"as_of": "2026-11-23"}).json()["totals"] == [totals]
    for wrong in ({"as_of": "2028-11-24"}, {"as_of": "november"}, {"asof": "2026-11-23"}):
        assert api.call("GET", "/v1/exports/month-end", params=wrong).status_code == 422
    later = month_end(api, "2026-11-30")
    assert (by_charge(later["accrued"]), later["deferred"]) == ({("acme", "press"): "4.56"}, []), "what is known so far"
    assert api.call("GET", "/v1/exports/month-end", params={"tenant": "nobody"}).status_code == 404


@given(
    st.decimals("-1000", "1000", places=2),
    st.integers(1, 400),
    st.integers(-10, 420),
    st.sampled_from(("Europe/Paris", "UTC", "Asia/Kolkata", "America/New_York")),
)
def test_what_is_earned_and_what_is_deferred_add_up(amount: Decimal, days: int, cut: int, zone: str) -> None:
    """In whole cents, never more than the amount, and more with every day."""
    begin = datetime(2026, 3, 20, tzinfo=ZoneInfo(zone))
    period = Period(begin.astimezone(UTC), (begin + timedelta(days=days)).astimezone(UTC))

    def earned(day: int) -> Decimal:
        at = (begin + timedelta(days=day)).astimezone(UTC)
        return part_until(amount, period, at, ZoneInfo(zone), "EUR")

    assert earned(cut) + (amount - earned(cut)) == amount
    assert earned(cut).as_tuple().exponent in (0, -2) and abs(earned(cut)) <= abs(amount)
    assert abs(earned(cut)) <= abs(earned(cut + 1))
    assert [earned(0), earned(days)] == [0, amount]
