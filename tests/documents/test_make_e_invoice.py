from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.documents.e_invoice import AmountOff, EInvoice, ELine, IncludedNote
from app.documents.make_e_invoice import decimals_of, e_invoice_of, missing, priced_per, refuse_disagreements
from app.domain.charge_models import Component
from app.domain.credit import CreditUse
from app.domain.errors import AmountsDisagree, NoEInvoice
from app.domain.invoices import AccountingTax, Invoice, InvoiceLine, totals
from app.domain.parties import ElectronicAddress
from app.domain.rating.lines import Allowance
from app.domain.tax import OUT_OF_SCOPE, Exemption, TaxRate
from tests.documents.e_invoices import ACME, CREDITED, FRANCHISE, GARAGE, LONDON, MUELLER, D, priced

MakeInvoice = Callable[..., Invoice]
MakeLine = Callable[..., InvoiceLine]


@pytest.fixture
def french(make_invoice: MakeInvoice) -> MakeInvoice:
    """An invoice of the garage to a French company."""
    return lambda *lines, **changes: make_invoice(*lines, **({"seller": GARAGE, "buyer": ACME} | changes))


def numbers(document: EInvoice) -> list[tuple[str, Decimal, Decimal, Decimal, Decimal]]:
    return [(line.id, line.quantity, line.price, line.price_base, line.amount) for line in document.lines]


def pointers(invoice: Invoice) -> list[str]:
    return [problem.pointer for problem in missing(invoice)]


def test_each_component_is_a_line(french: MakeInvoice, make_line: MakeLine):
    """100 kWh at 0.30 and 20 at 0.25: two lines of 30.00 and 5.00, 7.00 of VAT, 42.00 due."""
    document = e_invoice_of(french(make_line()))

    assert numbers(document) == [
        ("1.1", D(100), D("0.30"), D(1), D("30.00")), ("1.2", D(20), D("0.25"), D(1), D("5.00")),
    ]  # fmt: skip
    assert [line.name for line in document.lines] == ["Charging energy – Tier 1", "Charging energy – Tier 2"]
    assert {line.unit_code for line in document.lines} == {"KWH"}
    assert (document.totals.lines, document.totals.vat, document.totals.due) == (D("35.00"), D("7.00"), D("42.00"))
    assert (document.period.first, document.period.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert (document.issued_on, document.due_on) == (date(2026, 12, 2), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("price", "stated", "base"),
    [("0.30", "0.30", "1"), ("0.000001", "0.000001", "1"), ("0.00000012", "0.00012", "1000"),
     ("0.000000000001", "0.000001", "1000000"), ("0.00000000000125", "0.00125", "1000000000")],
)  # fmt: skip
def test_a_price_of_many_decimals_is_stated_for_many_units(price: str, stated: str, base: str):
    """A platform reads six decimals of a price: 0.00000012 a token is 0.00012 for a thousand."""
    assert priced_per(D(price)) == (D(stated), D(base))


@given(st.decimals(0, 1000, places=14))
def test_a_price_stated_for_many_units_is_the_same_price(price: Decimal):
    stated, base = priced_per(price)

    assert stated / base == price
    assert decimals_of(stated) <= 6


def test_a_discount_of_one_component_is_an_allowance_of_its_line(french: MakeInvoice, make_line: MakeLine):
    """100 kWh at 0.30 less 10 %: one line of 27.00 with an allowance of 3.00."""
    line = make_line(
        quantity=D(100), components=(priced("100", "0.30", "30.00"),), amount=D("27.00"),
        allowances=(Allowance("discount 10 %", D("3.00")),),
    )  # fmt: skip

    document = e_invoice_of(french(line))

    assert document.lines[0].amount == D("27.00")
    assert document.lines[0].allowances == (AmountOff(D("3.00"), "Discount 10%"),)
    assert document.allowances == ()


def test_a_discount_of_several_components_is_an_allowance_of_the_document(french: MakeInvoice, make_line: MakeLine):
    """30.00 and 5.00 less 10 %: the lines stay whole, 3.50 comes off their VAT group, 31.50 is the net."""
    line = make_line(amount=D("31.50"), allowances=(Allowance("discount 10 %", D("3.50")),))

    document = e_invoice_of(french(line))

    assert document.allowances == (
        AmountOff(D("3.50"), "Discount 10% – Charging energy", False, "S", D(20)),
    )  # fmt: skip
    assert (document.totals.lines, document.totals.allowances, document.totals.net) == (
        D("35.00"), D("3.50"), D("31.50"),
    )  # fmt: skip


def test_the_discount_belongs_to_what_was_priced_and_not_to_the_minimum(french: MakeInvoice, make_line: MakeLine):
    """10.00 less 10 % is 9.00, and 6.00 are missing of the minimum of 15.00."""
    line = make_line(
        components=(priced("10", "1", "10.00"), priced("1", "6.00", "6.00", "minimum")), amount=D("15.00"),
        allowances=(Allowance("discount 10 %", D("1.00")),),
    )  # fmt: skip

    document = e_invoice_of(french(line))

    assert [(item.amount, len(item.allowances)) for item in document.lines] == [(D("9.00"), 1), (D("6.00"), 0)]
    assert document.lines[1].unit_code == "C62"


def test_a_reduction_to_the_maximum_has_a_negative_quantity(french: MakeInvoice, make_line: MakeLine):
    """30.00 held to 25.00: a price is never negative (BR-27)."""
    line = make_line(
        components=(priced("100", "0.30", "30.00"), priced("-1", "5.00", "-5.00", "maximum")), amount=D("25.00")
    )

    assert numbers(e_invoice_of(french(line)))[1] == ("1.2", D(-1), D("5.00"), D(1), D("-5.00"))


def test_promotional_credit_is_an_allowance_of_the_document(french: MakeInvoice, make_line: MakeLine):
    """35.00 less 10.00 of credit: 25.00 net, 5.00 of VAT."""
    use = CreditUse(UUID(int=1), "welcome", D("10.00"), TaxRate("S", D(20)))
    invoice = french(make_line())
    net, tax, total = totals(invoice.lines, "EUR", allowances=(use,))

    document = e_invoice_of(replace(invoice, allowances=(use,), net=net, tax=tax, total=total))

    assert document.allowances == (AmountOff(D("10.00"), "welcome", False, "S", D(20)),)
    assert (document.totals.net, document.totals.due) == (D("25.00"), D("30.00"))


def test_what_is_the_difference_of_two_rounded_sums_is_a_line_of_one(french: MakeInvoice, make_line: MakeLine):
    """Overage of a term: 10.01 x 0.05 is 0.50, but the two sums differ by 0.51."""
    line = make_line(components=(priced("10.01", "0.05", "0.51", "commitment_overage"),), amount=D("0.51"))

    assert numbers(e_invoice_of(french(line))) == [("1", D(1), D("0.51"), D(1), D("0.51"))]


def test_a_line_without_components_is_a_line_of_one(french: MakeInvoice, make_line: MakeLine):
    assert numbers(e_invoice_of(french(make_line(components=(), amount=D("12.50"))))) == [
        ("1", D(1), D("12.50"), D(1), D("12.50"))
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, "380"), ({"type": "credit_note", "references": CREDITED, "due_date": None}, "381"),
     ({"type": "statement"}, "389")],
)  # fmt: skip
def test_each_type_of_document_has_its_code(
    french: MakeInvoice, make_line: MakeLine, changes: dict[str, object], code: str
):
    assert e_invoice_of(french(make_line(), **changes)).type_code == code


def test_a_credit_note_cites_what_it_lowers_and_asks_for_no_payment(french: MakeInvoice, make_line: MakeLine):
    note = french(make_line(kind="credit"), type="credit_note", references=CREDITED, due_date=None)

    document = e_invoice_of(note)

    assert [(item.number, item.issued_on) for item in document.preceding] == [("2026-000017", date(2026, 11, 1))]
    assert document.payment is None
    assert document.terms


def test_an_invoice_says_how_it_is_to_be_paid(french: MakeInvoice, make_line: MakeLine):
    payment = e_invoice_of(french(make_line())).payment

    assert payment is not None
    assert (payment.means, payment.iban, payment.bic) == ("58", GARAGE.iban, "AGRIFRPP")
    assert payment.reference == "RF022026000042"


# --- what French law wants --------------------------------------------------------------------------------------------


def test_a_french_seller_states_its_terms_and_its_numbers(french: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(french(make_line(), language="fr"))
    notes = {note.code: note.text for note in document.notes}

    assert set(notes) == {"PMT", "PMD", "AAB", "BAR", "AAI"}
    assert "40 €" in notes["PMT"]
    assert notes["BAR"] == "B2B"
    assert notes["AAI"] == "Option pour le paiement de la taxe d’après les débits."
    assert (document.process, document.vat_due) == ("S1", "5")
    assert document.seller.legal_form == "SAS au capital de 10\u202f000,00\u202f€, RCS Grenoble"
    assert [(item.value, item.scheme) for item in document.seller.identifiers] == [("73282932000074", "0009")]
    assert document.buyer.electronic_address == ElectronicAddress("0225", "552100554")


def test_numbers_that_people_group_are_stated_without_spaces(french: MakeInvoice, make_line: MakeLine):
    seller = replace(GARAGE, registration="732 829 320", siret="732 829 320 00074", vat_number="FR 44 732.829.320")
    buyer = replace(MUELLER, vat_number="DE 811 907 980")

    document = e_invoice_of(french(make_line(tax=TaxRate("AE", D(0))), seller=seller, buyer=buyer))

    assert [item.value for item in document.seller.identifiers] == ["73282932000074"]
    assert document.seller.legal_number is not None and document.seller.legal_number.value == "732829320"
    assert (document.seller.vat_number, document.buyer.vat_number) == ("FR44732829320", "DE811907980")
    assert document.buyer.electronic_address == ElectronicAddress("9930", "DE811907980")


def test_its_own_terms_stand_in_place_of_those_of_the_law(french: MakeInvoice, make_line: MakeLine):
    seller = replace(GARAGE, discount_terms="2 % within 8 days.")

    document = e_invoice_of(french(make_line(), seller=seller))

    assert [note for note in document.notes if note.code == "AAB"] == [IncludedNote("2 % within 8 days.", "AAB")]


def test_goods_and_services_are_told_apart(french: MakeInvoice, make_line: MakeLine):
    goods, service = make_line(supply="electricity"), make_line(supply="service")

    processes = [e_invoice_of(french(*lines)).process for lines in ((service,), (goods,), (goods, service))]

    assert processes == ["S1", "B1", "M1"]


def test_a_buyer_abroad_is_reached_by_its_vat_number(french: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(french(make_line(tax=TaxRate("AE", D(0))), buyer=MUELLER))

    assert document.buyer.electronic_address == ElectronicAddress("9930", "DE811907980")
    assert IncludedNote("B2BINT", "BAR") in document.notes
    assert (document.vat[0].reason_code, document.vat[0].amount) == ("VATEX-EU-AE", D(0))


def test_a_small_business_says_why_it_asks_for_no_vat(french: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(french(make_line(tax=TaxRate("E", D(0))), seller=FRANCHISE))

    assert (document.vat[0].reason, document.vat[0].reason_code) == (
        "TVA non applicable, art. 293 B du CGI", "VATEX-FR-FRANCHISE",
    )  # fmt: skip
    assert (document.seller.vat_number, document.seller.tax_number) == ("", "732829320")


def test_what_is_out_of_scope_names_no_vat_number(french: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(french(make_line(tax=OUT_OF_SCOPE), buyer=MUELLER))

    assert (document.seller.vat_number, document.buyer.vat_number, document.lines[0].rate) == ("", "", None)


def test_the_reason_of_the_tax_rate_comes_before_the_one_of_the_category(french: MakeInvoice, make_line: MakeLine):
    exempt = TaxRate("E", D(0), Exemption("VATEX-FR-CGI261-4", "Formation professionnelle"))

    document = e_invoice_of(french(make_line(tax=exempt)))

    assert (document.vat[0].reason, document.vat[0].reason_code) == ("Formation professionnelle", "VATEX-FR-CGI261-4")


def test_a_reason_whose_code_is_in_no_list_is_said_in_words(french: MakeInvoice, make_line: MakeLine):
    unknown = TaxRate("E", D(0), Exemption("VATEX-FR-NOTHING", "Exonération"))

    group = e_invoice_of(french(make_line(tax=unknown))).vat[0]

    assert (group.reason, group.reason_code) == ("Exonération", "")


def test_another_currency_states_the_vat_in_euros_too(french: MakeInvoice, make_line: MakeLine):
    euros = AccountingTax("EUR", D("6.40"), D("0.9142"), "ECB", date(2026, 11, 30))

    document = e_invoice_of(french(make_line(), currency="USD", accounting_tax=euros))

    assert (document.accounting_currency, document.accounting_vat) == ("EUR", D("6.40"))
    assert pointers(french(make_line(), currency="USD")) == ["#/accounting_tax"]


# --- what is missing --------------------------------------------------------------------------------------------------


def test_a_document_says_all_that_it_lacks(french: MakeInvoice, make_line: MakeLine):
    bare = replace(ACME, registration="", vat_number="", address=None)

    invoice = french(make_line(), seller=replace(GARAGE, registration="", siret="", vat_number=""), buyer=bare)

    with pytest.raises(NoEInvoice) as caught:
        e_invoice_of(invoice)
    assert {problem.pointer for problem in caught.value.problems} >= {
        "#/parties/buyer/address", "#/parties/seller/registration", "#/parties/seller/vat_number",
        "#/parties/buyer/electronic_address",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"status": "draft", "number": "", "issued_at": None}, "#/status"),
        ({"currency": "TND"}, "#/currency"),
        ({"number": "2026 000042"}, "#/number"),
        ({"type": "credit_note"}, "#/references"),
        ({"due_date": date(2026, 12, 1)}, "#/due_date"),
        ({"buyer": replace(ACME, registration="", vat_number="")}, "#/parties/buyer/registration"),
        ({"buyer": replace(MUELLER, vat_number="")}, "#/parties/buyer/electronic_address"),
        ({"buyer": replace(ACME, electronic_address=ElectronicAddress("EM", "a@acme.example"))},
         "#/parties/buyer/electronic_address"),
        ({"seller": replace(GARAGE, siret="55210055400013")}, "#/parties/seller/siret"),
    ],
)  # fmt: skip
def test_what_keeps_a_document_from_being_an_e_invoice_is_pointed_at(
    french: MakeInvoice, make_line: MakeLine, changes: dict[str, object], pointer: str
):
    assert pointer in pointers(french(make_line(), **changes))


def test_a_french_quantity_has_four_decimals_at_most(french: MakeInvoice, make_line: MakeLine):
    """42.12345 kWh at 0.30: only the meter can say how it is rounded, before it is priced."""
    line = make_line(quantity=D("42.12345"), components=(priced("42.12345", "0.30", "12.64"),), amount=D("12.64"))

    assert pointers(french(line)) == ["#/lines/0/components/0/quantity"]
    assert pointers(french(line, seller=replace(MUELLER, key="operator"))) == []


def test_tax_that_no_french_rate_explains_is_pointed_at(french: MakeInvoice, make_line: MakeLine):
    assert pointers(french(make_line(tax=TaxRate("S", D(19))))) == ["#/tax/0/rate"]


def test_what_is_out_of_scope_stands_alone(french: MakeInvoice, make_line: MakeLine):
    assert pointers(french(make_line(), make_line(tax=OUT_OF_SCOPE))) == ["#/tax"]


def test_a_company_abroad_needs_no_french_number(french: MakeInvoice, make_line: MakeLine):
    assert pointers(french(make_line(tax=TaxRate("G", D(0))), buyer=LONDON)) == []


# --- amounts that do not follow from one another ----------------------------------------------------------------------


def test_a_vat_total_that_is_off_by_a_cent_is_refused(french: MakeInvoice, make_line: MakeLine):
    """20 % of 35.00 is 7.00. The official rules let 7.01 pass."""
    invoice = french(make_line())
    group = replace(invoice.tax[0], amount=D("7.01"))
    wrong = replace(invoice, tax=(group,), total=D("42.01"))

    with pytest.raises(AmountsDisagree, match=r"the VAT of S 20 % is 7\.00, not 7\.01 \(BR-CO-17\)"):
        refuse_disagreements(wrong)


def test_a_line_that_is_not_quantity_times_price_is_refused(french: MakeInvoice, make_line: MakeLine):
    """100 x 0.30 is 30.00. The official rules let 30.01 pass."""
    line = make_line(quantity=D(100), components=(priced("100", "0.30", "30.01"),), amount=D("30.01"))

    with pytest.raises(AmountsDisagree, match=r"line 1: 100 x 0\.30 / 1 and its allowances are 30\.00, not 30\.01"):
        refuse_disagreements(french(line))


@pytest.mark.parametrize("field", ["net", "total"])
def test_a_total_that_is_not_the_sum_of_its_parts_is_refused(french: MakeInvoice, make_line: MakeLine, field: str):
    invoice = french(make_line())

    with pytest.raises(AmountsDisagree):
        refuse_disagreements(replace(invoice, **{field: getattr(invoice, field) + D("0.01")}))


def test_a_document_that_can_be_no_e_invoice_is_not_held_to_its_rules(french: MakeInvoice, make_line: MakeLine):
    refuse_disagreements(replace(french(make_line(), buyer=replace(ACME, address=None)), total=D("1.00")))


def test_a_note_in_parts_may_round_its_vat_by_a_cent(french: MakeInvoice, make_line: MakeLine):
    """Of 0.10 at 5 % each, VAT by cumulative difference is 0.01 on the first note and 0.00 on the second."""
    line = make_line(components=(priced("1", "0.10", "0.10", "flat"),), amount=D("0.10"), tax=TaxRate("S", D("5.5")))
    note = french(line, type="credit_note", references=CREDITED, due_date=None)
    second = replace(note, tax=(replace(note.tax[0], amount=D("0.00")),), total=D("0.10"))

    refuse_disagreements(second)


LINES = st.lists(
    st.builds(
        lambda quantity, price, rate: (quantity, price, rate), st.decimals(0, 10**6, places=4),
        st.decimals(0, 100, places=12), st.sampled_from(["20", "10", "5.5", "2.1", "0"]),
    ),
    min_size=1, max_size=6,
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(LINES, st.booleans())
def test_whatever_is_billed_the_e_invoice_says_the_same_amounts(
    french: MakeInvoice, make_line: MakeLine, found: list[tuple[Decimal, Decimal, str]], discounted: bool
):
    lines = []
    for quantity, price, rate in found:
        amount = (quantity * price).quantize(D("0.01"), "ROUND_HALF_UP")
        off = (amount / 10).quantize(D("0.01"), "ROUND_HALF_UP") if discounted else D(0)
        lines.append(
            make_line(
                quantity=quantity, components=(Component("unit", quantity, price, amount),), amount=amount - off,
                allowances=(Allowance("discount 10 %", off),) if off else (), tax=TaxRate("S", D(rate)),
            )
        )  # fmt: skip
    invoice = french(*lines)

    document = e_invoice_of(invoice)

    assert (document.totals.net, document.totals.gross) == (invoice.net, invoice.total)
    assert sum((_exact(line) for line in document.lines), D(0)) == invoice.net


def _exact(line: ELine) -> Decimal:
    """What the line comes to, by its own numbers, computed anew."""
    product = (line.quantity * line.price / line.price_base).quantize(D("0.01"), "ROUND_HALF_UP")
    return product - sum((item.amount for item in line.allowances), D(0))


def test_texts_are_of_the_documents_language(french: MakeInvoice, make_line: MakeLine):
    document = e_invoice_of(french(make_line(), language="fr", issued_at=datetime(2026, 12, 1, 9, tzinfo=UTC)))

    assert [line.name for line in document.lines] == ["Charging energy – Tranche 1", "Charging energy – Tranche 2"]
    assert document.terms == "À régler au plus tard le 1er janvier 2027."
