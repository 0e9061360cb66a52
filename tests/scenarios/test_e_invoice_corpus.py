"""More than three hundred documents, from events to e-invoices: plans of every price, discounts, credits, coupons,
taxes, corrections, in both languages. Each is held against the official rules in both syntaxes, and added up again from
its own numbers by code that shares nothing with the service."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from facturx import get_xml_from_pdf
from lxml import etree

from app.official import official_checker
from app.storage.migrate import upgrade
from tests.api.french import GARAGE_LEGAL
from tests.service import OPERATOR, Api, service

SEED = 16931
BUYERS = 22
MIDDLE, THROUGH = "2026-06-01T00:00:00Z", "2026-11-01T00:00:00Z"
FIRST_MONTH = (2025, 10)
MONTHS = 13
LEAST_DOCUMENTS = 300

FOUR_DECIMALS = {"mode": "half_up", "scale": 4}
METERS = {
    "energy": {"event_type": "use", "aggregation": "sum", "property": "$.kwh", "unit": "kWh", "unit_code": "KWH",
               "dimensions": {"station": "$.station"}, "rounding": FOUR_DECIMALS},
    "tokens": {"event_type": "use", "aggregation": "sum", "property": "$.tokens", "unit": "token"},
    "calls": {"event_type": "use", "aggregation": "count", "unit": "call"},
    "traffic": {"event_type": "use", "aggregation": "sum", "property": "$.bytes", "unit": "B",
                "rounding": FOUR_DECIMALS,
                "convert": {"divide_by": "1073741824", "unit": "GiB"}},
    "spend": {"event_type": "use", "aggregation": "sum", "property": "$.spend", "unit": "EUR",
              "rounding": {"mode": "half_up", "scale": 2}},
}  # fmt: skip
RATES = {
    "twenty": ("S", "20"), "ten": ("S", "10"), "low": ("S", "5.5"), "zero": ("Z", "0"), "exempt": ("E", "0"),
    "reverse": ("AE", "0"), "outside": ("O", "0"),
}  # fmt: skip
TIERS = [{"up_to": "100", "unit_price": "0.3012"}, {"up_to": "1000", "unit_price": "0.2599", "flat": "5.00"},
         {"up_to": None, "unit_price": "0.19"}]  # fmt: skip
PLANS: dict[str, list[dict[str, Any]]] = {
    "metered": [
        {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.123456"}, "allowance": "10",
         "discount": {"percent": "7.5"}, "minimum": "12.00"},
        {"key": "access", "model": {"type": "flat", "amount": "19.90"}, "timing": "advance"},
    ],
    "tokens": [
        {"key": "tokens", "meter": "tokens", "model": {"type": "graduated", "tiers": [
            {"up_to": "1000000", "unit_price": "0.00000012"}, {"up_to": None, "unit_price": "0.000000098765"}]}},
        {"key": "calls", "meter": "calls", "model": {"type": "package", "size": "3", "price": "0.99"}, "tax": "ten"},
    ],
    "tiers": [
        {"key": "energy", "meter": "energy", "discount": {"percent": "3"},
         "model": {"type": "graduated", "tiers": TIERS}},
        {"key": "traffic", "meter": "traffic", "maximum": "9.00", "tax": "low",
         "model": {"type": "volume", "tiers": [
             {"up_to": "5", "unit_price": "1.5"}, {"up_to": None, "unit_price": "1.1"}]}},
    ],
    "mixed": [
        {"key": "spend", "meter": "spend", "model": {"type": "percentage", "rate": "1.35", "fixed": "0.25"}},
        {"key": "training", "model": {"type": "flat", "amount": "100.00"}, "tax": "exempt",
         "discount": {"amount": "5.00"}},
        {"key": "export", "meter": "calls", "model": {"type": "per_unit", "unit_price": "2"}, "tax": "zero"},
    ],
    "rates": [
        {"key": "energy", "meter": "energy", "tax": "low", "model": {"type": "matrix", "cells": [
            {"when": {"station": "a"}, "unit_price": "0.31"}, {"when": {"station": "b"}, "unit_price": "0.29"}],
            "default_unit_price": "0.35"}},
        {"key": "slots", "meter": "calls", "model": {"type": "time_of_use", "default_unit_price": "0.2", "rates": [
            {"hours": ["08:00", "20:00"], "unit_price": "0.5"}]}},
        {"key": "kept", "meter": "traffic", "model": {"type": "reservation", "reserved": "2", "unit_price": "2.25",
                                                        "overage_unit_price": "3.5"}},
    ],
    "abroad": [
        {"key": "energy", "meter": "energy", "model": {"type": "graduated", "tiers": TIERS}, "tax": "reverse"},
        {"key": "access", "model": {"type": "flat", "amount": "9.00"}, "tax": "reverse"},
    ],
    "outside": [
        {"key": "calls", "meter": "calls", "model": {"type": "per_unit", "unit_price": "3.33"}, "tax": "outside"},
    ],
}  # fmt: skip
OTHER_CURRENCIES = {"USD": ("0.30", "0.9213"), "GBP": ("0.25", "1.1502"), "JPY": ("45", "0.0061")}
DOMESTIC = ("metered", "tokens", "tiers", "mixed", "rates")


def siren(number: int) -> str:
    """The number-th company of the corpus: eight digits and the one that makes Luhn's sum a multiple of ten."""
    body = f"{40000000 + number * 7919:08}"
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(body))
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return body + str(-total % 10)


def french_vat_number(number: str) -> str:
    return f"FR{(12 + 3 * (int(number) % 97)) % 97:02}{number}"


@dataclass(frozen=True)
class Document:
    """One document as the service shows it, and its files."""

    shown: dict[str, Any]
    cii: bytes
    ubl: bytes


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    url = f"sqlite:///{tmp_path_factory.mktemp('corpus') / 'quotepart.db'}"
    upgrade(url)
    with service(url) as running:
        yield running


@pytest.fixture(scope="module")
def corpus(api: Api) -> list[Document]:
    """Thirteen months of every buyer, and then what was cancelled and what came late."""
    chance = random.Random(SEED)
    _catalog(api)
    sent = _use(api, chance)
    _credit(api)
    api.bill(MIDDLE)
    wrong = chance.sample(sent, 60)
    _cancel(api, wrong[:30])
    # What is late for a month that is billed stands on the next invoice.
    _send(api, [_event(chance, f"late-{number}", f"buyer-{number % BUYERS}", (2026, 3)) for number in range(30)])
    api.bill(THROUGH)
    _cancel(api, wrong[30:])
    api.bill(THROUGH)
    return [_document(api, shown) for shown in _issued(api)]


def _catalog(api: Api) -> None:
    for key, (category, rate) in RATES.items():
        body = {"category": category, "country": "FR", "start": "2014-01-01"}
        api.put(f"/v1/tax-rates/{key}", body | ({"rate": rate} if category == "S" else {}))
    api.put("/v1/tenants/garage", OPERATOR | {"legal": GARAGE_LEGAL, "tax": "twenty"})
    for key, meter in METERS.items():
        api.put(f"/v1/meters/{key}", meter)
    for key, charges in PLANS.items():
        plan = {"name": key, "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
        api.put(f"/v1/plans/{key}", plan)
        api.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    for number in range(BUYERS):
        _buyer(api, number)
    for number, (currency, (price, rate)) in enumerate(OTHER_CURRENCIES.items(), BUYERS):
        api.put(
            f"/v1/exchange-rates/{currency.lower()}",
            {"from": currency, "to": "EUR", "date": "2025-01-02", "rate": rate, "source": "ECB"},
        )
        charge = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": price}}
        plan = {"name": currency, "currency": currency, "interval": "month", "anchor": "calendar"}
        api.put(f"/v1/plans/in-{currency}", plan | {"charges": [charge | {"supply": "electricity"}]})
        api.post(f"/v1/plans/in-{currency}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        _buyer(api, number, currency=currency, plan=f"in-{currency}")


def _buyer(api: Api, number: int, *, currency: str = "EUR", plan: str = "") -> None:
    key, abroad = f"buyer-{number}", number % 7 == 6 and not plan
    if not plan:
        plan = ("abroad" if number % 2 else "outside") if abroad else DOMESTIC[number % len(DOMESTIC)]
    if abroad:
        legal: dict[str, Any] = {
            "name": f"Kunde {number} GmbH",
            "vat_number": "DE811907980",
            "registration": "HRB 77",
            "address": {"line1": "Weg 1", "postcode": "10115", "city": "Berlin", "country": "DE"},
        }
    else:
        legal = {
            "name": f"Cliente {number} & Fils SARL",
            "registration": siren(number),
            "vat_number": french_vat_number(siren(number)),
            "address": {"line1": f"{number} rue d’Été", "postcode": "35000", "city": "Rennes", "country": "FR"},
        }
    api.put(f"/v1/tenants/{key}", {
        "name": key, "currency": currency, "time_zone": "Europe/Paris", "language": "fr" if number % 2 else "en",
        "legal": legal})  # fmt: skip
    start = "2025-10-01" if number % 5 else "2025-10-17"
    api.put(f"/v1/subscriptions/{key}", {"tenant": key, "plan": plan, "start": start})


def _use(api: Api, chance: random.Random) -> list[tuple[str, str]]:
    """(tenant, id) of each event of the months that are billed."""
    events, sent = [], []
    for number in range(BUYERS + len(OTHER_CURRENCIES)):
        for month in range(MONTHS - 1):
            for count in range(chance.randrange(6)):
                identity, tenant = f"{number}-{month}-{count}", f"buyer-{number}"
                when = divmod(FIRST_MONTH[1] - 1 + month, 12)
                events.append(_event(chance, identity, tenant, (FIRST_MONTH[0] + when[0], when[1] + 1)))
                sent.append((tenant, identity))
    _send(api, events)
    return sent


def _event(chance: random.Random, identity: str, tenant: str, month: tuple[int, int]) -> dict[str, Any]:
    measured = {
        "kwh": f"{chance.randrange(10**9) / 10**6:.6f}", "tokens": str(chance.randrange(3_000_000)),
        "bytes": str(chance.randrange(8 * 2**30)), "spend": f"{chance.randrange(10**6) / 100:.2f}",
        "station": chance.choice("abc"),
    }  # fmt: skip
    day, hour = chance.randrange(1, 28), chance.randrange(24)
    return {
        "specversion": "1.0", "id": identity, "source": "/corpus", "type": "use", "subject": tenant,
        "time": f"{month[0]}-{month[1]:02}-{day:02}T{hour:02}:30:00Z", "data": measured,
    }  # fmt: skip


def _send(api: Api, events: list[dict[str, Any]]) -> None:
    for start in range(0, len(events), 500):
        batch = events[start : start + 500]
        assert api.post("/v1/events", batch)["accepted"] == len(batch)


def _cancel(api: Api, wrong: list[tuple[str, str]]) -> None:
    for tenant, identity in wrong:
        api.post(
            "/v1/events/cancellations", {"tenant": tenant, "source": "/corpus", "id": identity, "reason": "corpus"}
        )


def _credit(api: Api) -> None:
    """Promotional credit, prepaid balance and a coupon for some."""
    api.put("/v1/coupons/tenth", {"name": "A tenth", "percent": "10", "periods": 3})
    for number in range(0, BUYERS, 3):
        grant = {"tenant": f"buyer-{number}", "kind": "promotional" if number % 2 else "prepaid", "amount": "75.00"}
        api.post("/v1/credit-grants", grant | {"currency": "EUR", "effective_at": "2025-10-01T00:00:00Z"})
    for number in range(0, BUYERS, 4):
        api.post("/v1/applied-coupons", {"coupon": "tenth", "tenant": f"buyer-{number}"})


def _issued(api: Api) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = api.get("/v1/invoices", status="issued", limit=1000, **({"cursor": cursor} if cursor else {}))
        rows, cursor = rows + page["data"], page["next_cursor"]
    return rows


def _document(api: Api, shown: dict[str, Any]) -> Document:
    files = []
    for format in ("xml", "ubl.xml"):
        answer = api.call("GET", f"/v1/invoices/{shown['id']}.{format}")
        assert answer.status_code == 200, answer.text
        files.append(answer.content)
    return Document(shown, *files)


# --- what must hold ---------------------------------------------------------------------------------------------------


def test_every_document_passes_the_official_rules_in_both_syntaxes(corpus: list[Document]):
    files = [
        (f"{document.shown['number']}.{name}", content)
        for document in corpus
        for name, content in (("cii", document.cii), ("ubl", document.ubl))
    ]

    with official_checker() as checker:
        reports = list(checker.check_all(files))

    assert [(report.name, report.findings) for report in reports if report.findings] == []
    assert {report.checks for report in reports} == {("XSD", "EN 16931", "BR-FR")}
    assert len(reports) == 2 * len(corpus) >= 2 * LEAST_DOCUMENTS


def test_the_corpus_has_something_of_everything(corpus: list[Document]):
    categories = {group["category"] for document in corpus for group in document.shown["tax"]}
    kinds = {part["kind"] for document in corpus for line in document.shown["lines"] for part in line["components"]}

    assert categories == {"S", "Z", "E", "AE", "O"}
    assert {document.shown["type"] for document in corpus} == {"invoice", "credit_note"}
    assert {document.shown["language"] for document in corpus} == {"en", "fr"}
    assert {document.shown["currency"] for document in corpus} == {"EUR", *OTHER_CURRENCIES}
    assert {"tier", "package", "percentage", "per_event", "cell", "time_rate", "reserved", "overage", "minimum",
            "maximum", "flat"} <= kinds  # fmt: skip
    assert any(document.shown["allowances"] for document in corpus)
    assert any(line["kind"] == "difference" for document in corpus for line in document.shown["lines"])
    assert sum(len(document.shown["tax"]) > 1 for document in corpus) > 20


def test_every_total_follows_from_the_lines_of_the_file(corpus: list[Document]):
    for document in corpus:
        again = _added_up(document.cii)
        shown = document.shown
        cent = _cent(shown["currency"])
        assert again["net"] == Decimal(shown["net"]), shown["number"]
        tolerance = cent if shown["type"] == "credit_note" else Decimal(0)
        groups = {(group["category"], Decimal(group["rate"])): group for group in shown["tax"]}
        assert groups.keys() == again["bases"].keys(), shown["number"]
        for key, base in again["bases"].items():
            vat = (base * key[1] / 100).quantize(cent, ROUND_HALF_UP)
            assert base == Decimal(groups[key]["base"]), shown["number"]
            assert abs(vat - Decimal(groups[key]["amount"])) <= tolerance, shown["number"]
        total = again["net"] + sum(Decimal(group["amount"]) for group in shown["tax"])
        assert total == Decimal(shown["total"]) == again["due"] == _ubl_due(document.ubl), shown["number"]


def _cent(currency: str) -> Decimal:
    return Decimal(1) if currency == "JPY" else Decimal("0.01")


def _added_up(cii: bytes) -> dict[str, Any]:
    """Net, base of each (category, rate), and amount due, by the quantities and prices in the file alone."""
    root = etree.fromstring(cii)
    cent = _cent(root.findtext(".//{*}InvoiceCurrencyCode"))
    bases: dict[tuple[str, Decimal], Decimal] = {}

    def add(element: Any, amount: Decimal) -> None:
        key = (element.findtext("{*}CategoryCode"), Decimal(element.findtext("{*}RateApplicablePercent") or 0))
        bases[key] = bases.get(key, Decimal(0)) + amount

    for line in root.iter("{*}IncludedSupplyChainTradeLineItem"):
        price = line.find(".//{*}NetPriceProductTradePrice")
        base = Decimal(price.findtext("{*}BasisQuantity") or 1)
        product = Decimal(line.findtext(".//{*}BilledQuantity")) * Decimal(price.findtext("{*}ChargeAmount")) / base
        amount = product.quantize(cent, ROUND_HALF_UP)
        amount += sum((_signed(item) for item in line.iter("{*}SpecifiedTradeAllowanceCharge")), Decimal(0))
        assert amount == Decimal(line.findtext(".//{*}LineTotalAmount"))
        add(line.find(".//{*}ApplicableTradeTax"), amount)
    settlement = root.find(".//{*}ApplicableHeaderTradeSettlement")
    for item in settlement.findall("{*}SpecifiedTradeAllowanceCharge"):
        add(item.find("{*}CategoryTradeTax"), _signed(item))
    due = Decimal(settlement.findtext(".//{*}DuePayableAmount"))
    return {"net": sum(bases.values(), Decimal(0)), "bases": bases, "due": due}


def _signed(item: Any) -> Decimal:
    amount = Decimal(item.findtext("{*}ActualAmount"))
    assert amount >= 0
    return amount if item.findtext(".//{*}Indicator") == "true" else -amount


def _ubl_due(ubl: bytes) -> Decimal:
    return Decimal(etree.fromstring(ubl).findtext(".//{*}PayableAmount"))


def test_both_syntaxes_say_the_same(corpus: list[Document]):
    """Number, quantities, prices, amounts and texts of the lines, in order."""
    for document in corpus:
        cii, ubl = etree.fromstring(document.cii), etree.fromstring(document.ubl)
        lines = list(ubl.iter("{*}InvoiceLine", "{*}CreditNoteLine"))
        for one, other in zip(cii.iter("{*}IncludedSupplyChainTradeLineItem"), lines, strict=True):
            quantity = other.find("{*}InvoicedQuantity")
            quantity = other.find("{*}CreditedQuantity") if quantity is None else quantity
            assert [
                one.findtext(".//{*}BilledQuantity"), one.findtext(".//{*}ChargeAmount"),
                one.findtext(".//{*}BasisQuantity"), one.findtext(".//{*}LineTotalAmount"), one.findtext(".//{*}Name"),
            ] == [
                quantity.text, other.findtext("{*}Price/{*}PriceAmount"), other.findtext("{*}Price/{*}BaseQuantity"),
                other.findtext("{*}LineExtensionAmount"), other.findtext("{*}Item/{*}Name"),
            ]  # fmt: skip


def test_the_pdf_holds_the_same_file(api: Api, corpus: list[Document]):
    """Every twentieth: PDF/A-3 with one associated file, which is the e-invoice byte for byte."""
    for document in corpus[::20]:
        pdf = api.call("GET", f"/v1/invoices/{document.shown['id']}.pdf").content
        assert get_xml_from_pdf(pdf, check_xsd=False, check_schematron=False) == ("factur-x.xml", document.cii)
        with pikepdf.open(io.BytesIO(pdf)) as opened:
            root: Any = opened.Root
            assert [str(item.F) for item in root.AF] == ["factur-x.xml"]
            assert str(root.OutputIntents[0].S) == "/GTS_PDFA1"


def test_invoices_of_other_systems_have_the_same_shape(corpus: list[Document]):
    """Every element that ours have stands under the same parent in some valid UBL invoice of another system, or in the
    schema: here the ones that must never be missing."""
    folder = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "en16931-ubl"
    if not folder.is_dir():
        pytest.skip("the invoices of other systems are not here: ../shared/data/en16931-ubl")
    common: set[str] | None = None
    for path in sorted(folder.glob("*.xml")):
        names = {etree.QName(item).localname for item in etree.parse(str(path)).getroot()}
        common = names if common is None else common & names

    assert common
    for document in corpus:
        ours = {etree.QName(item).localname for item in etree.fromstring(document.ubl)}
        assert {name.replace("Invoice", "CreditNote") if document.shown["type"] == "credit_note" else name
                for name in common if "Line" not in name} <= ours | {"CreditNotePeriod"}  # fmt: skip
