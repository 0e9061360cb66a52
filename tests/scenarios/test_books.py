"""A year of a seller's business in its books: use, late use, cancellations, credit of both kinds, several VAT rates."""

from __future__ import annotations

import csv
import io
import random
from decimal import Decimal
from itertools import groupby
from typing import Any

import pytest

from tests.service import ACME, OPERATOR, Api, event, service, set_up

LEGAL = {"name": "Garage SAS", "registration": "732829320", "vat_number": "FR44732829320", "address": {
    "line1": "1 rue", "postcode": "38000", "city": "Grenoble", "country": "FR"}}  # fmt: skip
CHARGES = [
    {"key": "energy", "meter": "energy", "tax": "standard", "model": {"type": "graduated", "tiers": [
        {"up_to": "100", "unit_price": "0.3333"}, {"up_to": None, "unit_price": "0.2477"},
    ]}},
    {"key": "access", "model": {"type": "flat", "amount": "19.99"}, "timing": "advance", "tax": "standard"},
    {"key": "press", "model": {"type": "flat", "amount": "4.90"}, "tax": "reduced", "discount": {"percent": "7"}},
]  # fmt: skip


def of_file(api: Api, name: str = "sales-journal.txt", **query: str) -> list[dict[str, str]]:
    answer = api.call("GET", f"/v1/exports/{name}", params=query)
    assert answer.status_code == 200, answer.text
    delimiter = {"pipe": "|", "": ","}.get(query.get("separator", "" if name.endswith("csv") else "tab"), "\t")
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), delimiter=delimiter))


def amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "."))


def sides(rows: list[dict[str, str]]) -> list[tuple[str, Decimal, Decimal]]:
    return [(row["CompteNum"], amount(row["Debit"]), amount(row["Credit"])) for row in rows]


def start(api: Api, regime: str = "on_debits") -> None:
    api.put("/v1/tax-rates/standard", {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"})
    api.put("/v1/tax-rates/reduced", {"category": "S", "rate": "5.5", "country": "FR", "start": "2014-01-01"})
    set_up(api)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": LEGAL | {"vat_regime": regime}})
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": CHARGES}
    api.put("/v1/plans/standard", body)
    api.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})


def year(api: Api, seed: int) -> None:
    """Three tenants over 2025: about eight sessions a month each, a tenth of them late, a tenth cancelled."""
    chance = random.Random(seed)
    tenants = ("acme", "borealis", "cobalt")
    for tenant in tenants:
        api.put(f"/v1/tenants/{tenant}", ACME | {"name": tenant.title(), "subjects": [f"{tenant}-1"]})
        api.put(f"/v1/subscriptions/{tenant}-1", {"tenant": tenant, "plan": "standard", "start": "2025-01-01"})
    grant = {"tenant": "borealis", "currency": "EUR", "amount": "150.00"}
    api.post("/v1/credit-grants", grant | {"kind": "prepaid"})
    api.post("/v1/credit-grants", grant | {"kind": "promotional", "amount": "60.00"})
    late: list[Any] = []
    billed: list[Any] = []
    for month in range(1, 13):
        posted, late = late, []
        for tenant in tenants:
            for number in range(8):
                sent = event(
                    f"{tenant}-{month}-{number}", subject=f"{tenant}-1",
                    time=f"2025-{month:02}-{chance.randint(1, 28):02}T10:00:00Z",
                    data={"kwh": str(Decimal(chance.randint(1, 60_000)) / 1000), "station": "1"},
                )  # fmt: skip
                (late if chance.random() < 0.1 else posted).append((tenant, sent))
        api.post("/v1/events", [sent for _, sent in posted])
        for tenant, sent in chance.sample(billed, min(3, len(billed))):
            body = {"tenant": tenant, "source": "/chargers/12", "id": sent["id"], "reason": "fault"}
            api.call("POST", "/v1/events/cancellations", body)
        billed = posted
        through = f"2025-{month + 1:02}-01" if month < 12 else "2026-01-01"
        api.clock.set(f"{through}T06:00:00+00:00")
        run = api.bill(f"{through}T00:00:00Z")
        assert run["failed"] == 0, run
        pay(api, chance, through)


def pay(api: Api, chance: random.Random, day: str) -> None:
    """Of what is due some is paid in part, some in full, some beyond; and of what was paid some comes back."""
    for one in [one for one in issued(api) if Decimal(one["due"]) > 0]:
        share = chance.choice(("0", "0.4", "1", "1.1"))
        part = (Decimal(one["due"]) * Decimal(share)).quantize(Decimal("0.01"))
        if part:
            made = api.post(f"/v1/invoices/{one['id']}/payments", {"amount": str(part), "paid_on": day})
            if chance.random() < 0.2:
                api.post(f"/v1/payments/{made['id']}/reversals", {"reason": "mistake"})


def test_the_journal_of_a_year_balances_and_its_numbers_follow_the_days(api: Api) -> None:
    """VAT that waits for payment is owed to the cent once all is paid."""
    check_year(api, "on_payment")


def test_the_journal_of_a_year_balances_where_vat_is_owed_at_once(sqlite_url: str) -> None:
    with service(sqlite_url) as api:
        check_year(api, "on_debits")


def check_year(api: Api, regime: str) -> None:
    """Every entry is balanced, and all of them; what buyers owe is what is due of the documents."""
    start(api, regime)
    year(api, seed=7 if regime == "on_debits" else 8)

    rows = of_file(api)

    entries = entries_of(rows)
    assert [found[0]["EcritureNum"] for found in entries] == [str(n) for n in range(1, len(entries) + 1)]
    days = [found[0]["EcritureDate"] for found in entries]
    assert days == sorted(days)
    for found in entries:
        assert len({(row["JournalCode"], row["EcritureDate"], row["PieceRef"]) for row in found}) == 1
        assert sum(amount(row["Debit"]) - amount(row["Credit"]) for row in found) == 0
    pieces = {row["PieceRef"] for row in rows if row["JournalCode"] == "VE"}
    documents = [one for one in issued(api) if Decimal(one["total"]) or one["allowances"]]
    assert pieces == {one["number"] for one in documents}
    assert {one["type"] for one in documents} == {"invoice", "credit_note"}
    assert balance(rows, "411") == sum(Decimal(one["due"]) for one in documents) != 0
    assert balance(rows, "512") > 0, "money came in"
    signs = {"invoice": 1, "credit_note": -1}
    vat = sum(signs[one["type"]] * (Decimal(one["total"]) - Decimal(one["net"])) for one in documents)
    assert -balance(rows, "445") == vat
    if regime == "on_debits":
        assert not balance(rows, "44574")
        return
    assert balance(rows, "44574") < 0, "some of it waits for payment"
    for one in documents:
        if Decimal(one["due"]) > 0:
            api.post(f"/v1/invoices/{one['id']}/payments", {"amount": one["due"], "paid_on": "2026-01-01"})
    rows = of_file(api)
    assert [balance(rows, "411"), balance(rows, "44574"), -balance(rows, "445")] == [0, 0, vat], "all is paid"


def balance(rows: list[dict[str, str]], beginning: str) -> Decimal:
    """Debits less credits of the accounts that begin like this."""
    return sum((debit - credit for account, debit, credit in sides(rows) if account.startswith(beginning)), Decimal(0))


def issued(api: Api) -> list[Any]:
    return api.invoices(status="issued", limit=1000)


def test_the_file_is_laid_out_as_the_tax_office_reads_it(api: Api) -> None:
    """18 columns, comma decimals, days without dashes, named after SIREN and last day."""
    start(api)
    api.put("/v1/tenants/acme", ACME | {"name": "Acme|SAS", "subjects": ["user-17"]})
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})
    api.post("/v1/events", [event("1", data={"kwh": "10"})])
    api.bill("2026-11-01T00:00:00Z")
    query = {"from": "2026-01-01", "to": "2027-01-01"}
    answer = api.call("GET", "/v1/exports/sales-journal.txt", params=query)
    assert answer.headers["content-disposition"] == 'attachment; filename="732829320FEC20261123.txt"'
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    heading, first, *_ = answer.text.split("\r\n")
    assert heading.split("\t") == [
        "JournalCode", "JournalLib", "EcritureNum", "EcritureDate", "CompteNum", "CompteLib", "CompAuxNum",
        "CompAuxLib", "PieceRef", "PieceDate", "EcritureLib", "Debit", "Credit", "EcritureLet", "DateLet", "ValidDate",
        "Montantdevise", "Idevise",
    ]  # fmt: skip
    assert first.split("\t") == [
        "VE", "Ventes", "1", "20261123", "411000", "Clients", "acme", "Acme SAS", "2026-000001", "20261123",
        "Facture 2026-000001 Acme SAS", "23,99", "0,00", "", "", "20261123", "", "",
    ]  # fmt: skip
    rows = of_file(api, **query)
    for name, more in (("sales-journal.csv", {}), ("sales-journal.txt", {"separator": "pipe"})):
        assert of_file(api, name, **query, **more) == rows
    assert next(row["EcritureNum"] for row in of_file(api, first_number="41")) == "41"
    assert of_file(api, to="2026-11-23") == []


def test_the_chart_of_accounts_says_where_amounts_stand(api: Api) -> None:
    start(api)
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})
    api.bill("2026-10-01T00:00:00Z")
    default = api.get("/v1/chart-of-accounts")
    assert (default["receivable"], default["vat"]["20"], default["deferred"]) == ("411000", "445711", "487000")
    chart = {
        "receivable": "411", "vat": {"20": "445799000"}, "journals": {"sales": {"code": "VTE", "name": "Sales"}},
        "names": {"706200": "Access"},
        "overrides": [
            {"charge": "access", "sales": "706200"}, {"tenant": "acme", "auxiliary": "C0042"},
        ],
    }  # fmt: skip
    answer = api.call("PUT", "/v1/chart-of-accounts", chart)
    assert answer.status_code == 200
    assert api.call("PUT", "/v1/chart-of-accounts", answer.json()).json() == answer.json()
    assert api.call("PUT", "/v1/chart-of-accounts", chart, headers={"If-Match": '"other"'}).status_code == 412
    rows = of_file(api)
    assert [(row["JournalCode"], row["CompteNum"], row["CompteLib"], row["CompAuxNum"]) for row in rows] == [
        ("VTE", "411", "Clients", "C0042"), ("VTE", "706200", "Access", ""), ("VTE", "445799000", "445799000", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chart", "pointer"),
    [
        ({"receivable": "clients"}, "#/receivable"), ({"vat": {"20 %": "445711"}}, "#/vat/20 %"),
        ({"supplies": {"advice": "706000"}}, "#/supplies/advice"), ({"overrides": [{"sales": "706"}]}, "#/overrides/0"),
        ({"overrides": [{"charge": "energy"}]}, "#/overrides/0"), ({"reveivable": "411"}, "#/reveivable"),
        ({"journals": {"sales": {"code": "v", "name": "x"}}}, "#/journals/sales/code"),
    ],
)  # fmt: skip
def test_a_chart_that_no_books_have_is_refused(api: Api, chart: dict[str, Any], pointer: str) -> None:
    answer = api.call("PUT", "/v1/chart-of-accounts", chart)
    assert answer.status_code == 422
    assert pointer in [problem["pointer"] for problem in answer.json()["errors"]]


def test_a_payment_is_in_the_bank_journal_and_what_is_over_is_an_advance(api: Api) -> None:
    """23.99 and 50.00 paid: 26.01 on account, which the next invoice of 29.47 takes; a refund of nothing is left."""
    start(api, "on_payment")
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-10-01"})
    api.bill("2026-10-01T00:00:00Z")
    (invoice,) = issued(api)
    body = {"amount": "50.00", "paid_on": "2026-11-23", "reference": "VIR 42"}
    made = api.post(f"/v1/invoices/{invoice['id']}/payments", body)
    (bank,) = (rows for rows in entries_of(of_file(api)) if rows[0]["JournalCode"] == "BQ")
    assert sides(bank) == [
        ("512000", Decimal("50.00"), 0), ("411000", 0, Decimal("23.99")), ("445740", Decimal("4.00"), 0),
        ("445711", 0, Decimal("4.00")), ("419100", 0, Decimal("26.01")),
    ]  # fmt: skip
    assert (bank[0]["PieceRef"], bank[1]["CompAuxNum"], bank[0]["EcritureLib"]) == (
        "VIR 42",
        "acme",
        "Règlement Acme SAS",
    )
    api.clock.set("2026-11-24T12:00:00+00:00")
    api.bill("2026-11-01T00:00:00Z")
    *_, later = entries_of(of_file(api))
    assert (later[0]["JournalCode"], later[0]["EcritureDate"]) == ("OD", "20261124")
    assert sides(later)[0] == ("411000", Decimal(0), Decimal("26.01"))
    api.clock.set("2026-11-25T12:00:00+00:00")
    api.post(f"/v1/payments/{made['id']}/reversals", {"reason": "returned", "amount": "50.00"})
    rows = of_file(api)
    assert balance(rows, "512") == balance(rows, "419") == 0
    assert balance(rows, "4457") == balance(rows, "44574"), "nothing is paid: all VAT waits again"


def entries_of(rows: list[dict[str, str]]) -> list[list[dict[str, str]]]:
    return [list(found) for _, found in groupby(rows, key=lambda row: row["EcritureNum"])]
