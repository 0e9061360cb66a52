"""The entries of documents and of money: which accounts, which side, and always as much on one as on the other."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.accounting import DEFAULT_CHART, AccountOverride, ChartOfAccounts, Context, chart_of
from app.domain.credit import CreditUse
from app.domain.invoices import AccountingTax, Invoice
from app.domain.journal import JournalEntry, MoneyMove, document_entry, money_entry
from app.domain.payments import PaidTax
from app.domain.tax import TaxGroup, TaxRate
from tests.documents.conftest import SELLER, invoice_of, line_of
from tests.documents.test_focus import documents

DAY = date(2026, 12, 2)
REDUCED = TaxRate("S", Decimal("5.5"))
ON_PAYMENT = replace(SELLER, vat_regime="on_payment")


def entry_of(invoice: Invoice, chart: ChartOfAccounts = DEFAULT_CHART, currency: str = "EUR") -> JournalEntry:
    found = document_entry(invoice, chart, day=DAY, piece_day=DAY, currency=currency)
    assert found is not None
    return found


def sides(entry: JournalEntry) -> list[tuple[str, str, str]]:
    return [(one.account, str(one.debit), str(one.credit)) for one in entry.postings]


def test_an_invoice_is_owed_by_its_buyer_and_earned_by_its_seller() -> None:
    """35.00 and 20 % VAT: 42.00 owed, 35.00 earned, 7.00 of VAT."""
    entry = entry_of(invoice_of(line_of()))
    assert sides(entry) == [("411000", "42.00", "0"), ("706000", "0", "35.00"), ("445711", "0", "7.00")]
    assert (entry.journal, entry.piece, entry.label) == (
        "sales", "2026-000042", "Facture 2026-000042 Acme Logistics Ltd",
    )  # fmt: skip
    assert (entry.postings[0].auxiliary, entry.postings[0].auxiliary_name) == ("acme", "Acme Logistics Ltd")


def test_a_credit_note_is_the_same_with_the_sides_exchanged() -> None:
    entry = entry_of(invoice_of(line_of(kind="credit"), type="credit_note"))
    assert sides(entry) == [("411000", "0", "42.00"), ("706000", "35.00", "0"), ("445711", "7.00", "0")]


def test_each_supply_and_each_rate_has_its_account() -> None:
    """35.00 of electricity at 20 % and 10.00 of a service at 5.5 %: 42.00 + 10.55."""
    service = line_of(id="2", amount=Decimal("10.00"), tax=REDUCED, components=())
    entry = entry_of(invoice_of(line_of(supply="electricity"), service))
    assert sorted(sides(entry)) == [
        ("411000", "52.55", "0"), ("445711", "0", "7.00"), ("445713", "0", "0.55"), ("706000", "0", "10.00"),
        ("707000", "0", "35.00"),
    ]  # fmt: skip


def test_vat_that_is_owed_once_it_is_paid_waits_on_an_account_of_its_own() -> None:
    """But that of goods, which is owed on delivery: 7.00 on electricity at 20 % does not wait, 0.55 does."""
    service = line_of(id="2", amount=Decimal("10.00"), tax=REDUCED, components=())
    entry = entry_of(invoice_of(line_of(supply="electricity"), service, seller=ON_PAYMENT))
    vat = [side for side in sides(entry) if side[0].startswith("445")]
    assert sorted(vat) == [("445711", "0", "7.00"), ("445740", "0", "0.55")]


def test_promotional_credit_is_a_discount_and_a_discount_on_a_line_lowers_the_sale() -> None:
    """35.00 less 5.00 of credit, 20 % VAT of 30.00: 36.00 owed, 35.00 sold, 5.00 given."""
    use = CreditUse(UUID(int=1), "welcome", Decimal("5.00"), TaxRate("S", Decimal(20)))
    tax = (TaxGroup("S", Decimal(20), Decimal("30.00"), Decimal("6.00")),)
    invoice = invoice_of(line_of(), allowances=(use,), net=Decimal("30.00"), tax=tax, total=Decimal("36.00"))
    assert sides(entry_of(invoice)) == [
        ("411000", "36.00", "0"), ("706000", "0", "35.00"), ("709000", "5.00", "0"), ("445711", "0", "6.00"),
    ]  # fmt: skip


def test_a_document_of_nothing_has_no_entry() -> None:
    invoice = invoice_of(line_of(amount=Decimal(0), components=()))
    assert document_entry(invoice, DEFAULT_CHART, day=DAY, piece_day=DAY, currency="EUR") is None


def test_the_override_with_most_conditions_holds() -> None:
    overrides = (
        AccountOverride({"sales": "706100"}, plan="standard"),
        AccountOverride({"sales": "706200"}, plan="standard", charge="energy"),
        AccountOverride({"sales": "706300"}, charge="energy"),
        AccountOverride({"receivable": "411ACM"}, tenant="acme", auxiliary="C0042"),
        AccountOverride({"vat_collected": "445799"}, tax_category="S", tax_rate=Decimal(20)),
    )
    chart = replace(DEFAULT_CHART, overrides=overrides)
    entry = entry_of(invoice_of(line_of(trace={"plan": "standard"})), chart)
    assert [side[0] for side in sides(entry)] == ["411ACM", "706200", "445799"]
    assert entry.postings[0].auxiliary == "C0042"
    assert chart.account("sales", Context(plan="standard", charge="access")) == "706100"
    assert chart.account("sales", Context(charge="access")) == "706000"


def test_an_account_is_called_by_the_longest_beginning_that_has_a_name() -> None:
    chart = chart_of(accounts={}, supplies={}, vat={}, names={"411ACM": "Acme"}, journals={}, overrides=())
    assert [chart.name(number) for number in ("411ACM", "411BOR", "445711", "999000")] == [
        "Acme", "Clients", "TVA collectée 20 %", "999000",
    ]  # fmt: skip


def test_another_account_for_sales_is_that_of_every_supply_without_one() -> None:
    chart = chart_of(
        accounts={"sales": "704000"}, supplies={"goods": "707100"}, vat={}, names={}, journals={}, overrides=()
    )
    assert [chart.account("sales", Context(supply=supply)) for supply in ("service", "goods", "electricity")] == [
        "704000", "707100", "704000",
    ]  # fmt: skip


def test_a_document_in_another_currency_is_booked_by_its_rate() -> None:
    """USD 35.00 + 7.00 at 0.9217: 38.71 owed, VAT of 6.45 as the document says it, and 32.26 earned."""
    accounting = AccountingTax("EUR", Decimal("6.45"), Decimal("0.9217"), "ECB", DAY)
    entry = entry_of(invoice_of(line_of(), currency="USD", accounting_tax=accounting))
    assert sides(entry) == [("411000", "38.71", "0"), ("706000", "0", "32.26"), ("445711", "0", "6.45")]
    assert [str(one.foreign) for one in entry.postings] == ["42.00", "35.00", "7.00"]
    assert (entry.currency, entry.foreign_currency) == ("EUR", "USD")


# --- money ------------------------------------------------------------------------------------------------------------


def money(received: str, *moves: MoneyMove) -> list[tuple[str, str, str]]:
    entry = money_entry(
        "bank", DEFAULT_CHART, day=DAY, piece="P1", piece_day=DAY, label="Virement", currency="EUR",
        received=Decimal(received), moves=moves, tenant="acme", name="Acme",
    )  # fmt: skip
    assert entry is not None
    return sides(entry)


def paid(amount: str, vat: str, **changes: Any) -> MoneyMove:
    invoice = invoice_of(line_of(), **changes)
    group = PaidTax("S", Decimal(20), Decimal(amount) - Decimal(vat), Decimal(vat))
    return MoneyMove(invoice, Decimal(amount), (group,))


def test_money_pays_an_invoice_and_the_rest_is_an_advance() -> None:
    assert money("50.00", paid("42.00", "7.00")) == [
        ("512000", "50.00", "0"), ("411000", "0", "42.00"), ("419100", "0", "8.00"),
    ]  # fmt: skip
    assert money("0", paid("8.00", "1.33")) == [("411000", "0", "8.00"), ("419100", "8.00", "0")]
    assert money("-8.00") == [("512000", "0", "8.00"), ("419100", "8.00", "0")]


def test_vat_that_waited_is_owed_by_what_is_paid_of_it() -> None:
    """Half of 42.00: 3.50 of VAT moves; and moves back where the payment does."""
    first = paid("21.00", "3.50", seller=ON_PAYMENT)
    assert money("21.00", first) == [
        ("512000", "21.00", "0"), ("411000", "0", "21.00"), ("445740", "3.50", "0"), ("445711", "0", "3.50"),
    ]  # fmt: skip
    back = paid("-21.00", "-3.50", seller=ON_PAYMENT)
    assert money("-21.00", back) == [
        ("512000", "0", "21.00"), ("411000", "21.00", "0"), ("445740", "0", "3.50"), ("445711", "3.50", "0"),
    ]  # fmt: skip


# --- for every document -----------------------------------------------------------------------------------------------


@given(documents(), st.sampled_from((None, "on_payment", "on_debits")), st.sampled_from(("EUR", "USD")))
def test_every_entry_is_balanced_and_says_what_the_document_says(invoice: Invoice, regime: Any, currency: str) -> None:
    """Also in another currency; the buyer owes the total, on whichever side that is."""
    rate = Decimal("1.0833")
    vat = sum((group.amount for group in invoice.tax), Decimal(0))
    accounting = AccountingTax("USD", (vat * rate).quantize(Decimal("0.01")), rate, "ECB", DAY)
    made = replace(invoice, seller=replace(SELLER, vat_regime=regime), accounting_tax=accounting)
    entry = document_entry(made, DEFAULT_CHART, day=DAY, piece_day=DAY, currency=currency)
    if entry is None:
        assert not invoice.total
        return
    assert sum(one.debit - one.credit for one in entry.postings) == 0
    assert all(one.debit >= 0 and one.credit >= 0 and bool(one.debit) != bool(one.credit) for one in entry.postings)
    if currency == "EUR":
        sign = -1 if invoice.type == "credit_note" else 1
        owed = sum(one.debit - one.credit for one in entry.postings if one.account == "411000")
        assert owed == sign * invoice.total
        taxed = sum(one.credit - one.debit for one in entry.postings if one.account.startswith("445"))
        assert taxed == sign * vat
