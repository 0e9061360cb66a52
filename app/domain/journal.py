"""What does an issued document look like in the books of its seller, and what does a payment of it?

One entry each, and in every entry debits and credits are the same to the cent. An invoice of 37.00 net with 20 % VAT:

    411000  44.40 |
                  | 706000  37.00
                  | 445711   7.40

A credit note is the same with the sides exchanged. Promotional credit stands on an account of its own (709), so that
sales are what was sold; discounts on a line lower the sale. VAT of a seller who owes it once it is paid (`on_payment`)
waits on 445740, and moves to the account of its rate as money comes in. A document of nothing has no entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from app.domain.accounting import ChartOfAccounts, Context, Journal
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import ZERO, round_amount
from app.domain.payments import PaidTax
from app.domain.tax import TaxRate

PAID_ON_DELIVERY = frozenset({"goods", "electricity"})
"""Supplies whose VAT is owed when they are delivered, whatever the regime of the seller."""


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry: an amount on one side of an account, above 0. `foreign` is the same in the currency of the
    document, where that is another one."""

    account: str
    debit: Decimal = ZERO
    credit: Decimal = ZERO
    auxiliary: str = ""
    auxiliary_name: str = ""
    foreign: Decimal | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """`piece` is the number of the document that proves it, `currency` that of its amounts, `foreign_currency` that of
    the document where it is another."""

    journal: Journal
    day: date
    piece: str
    piece_day: date
    label: str
    currency: str
    postings: tuple[Posting, ...]
    foreign_currency: str = ""


@dataclass(frozen=True, slots=True)
class _Account:
    number: str
    auxiliary: str = ""
    auxiliary_name: str = ""


@dataclass(slots=True)
class _Sheet:
    """Amounts by account while an entry is put together: what is above 0 is a debit."""

    amounts: dict[_Account, Decimal] = field(default_factory=dict)

    def debit(self, account: _Account, amount: Decimal) -> None:
        self.amounts[account] = self.amounts.get(account, ZERO) + amount

    def credit(self, account: _Account, amount: Decimal) -> None:
        self.debit(account, -amount)

    def postings(self, foreign: _Sheet | None = None) -> tuple[Posting, ...]:
        assert not sum(self.amounts.values(), ZERO), "an entry is balanced"
        return tuple(
            Posting(
                account.number, max(amount, ZERO), max(-amount, ZERO), account.auxiliary, account.auxiliary_name,
                None if foreign is None else abs(foreign.amounts.get(account, ZERO)),
            )
            for account, amount in self.amounts.items()
            if amount
        )  # fmt: skip


def buyer_account(invoice: Invoice, chart: ChartOfAccounts) -> _Account:
    about = Context(tenant=invoice.buyer.key)
    return _Account(chart.account("receivable", about), chart.auxiliary(invoice.buyer.key), invoice.buyer.name)


def awaiting_payment(invoice: Invoice) -> frozenset[tuple[str, Decimal]]:
    """The VAT groups that the seller owes once they are paid: all, where its regime says so, but those of goods
    alone."""
    if invoice.seller.vat_regime != "on_payment":
        return frozenset()
    supplies: dict[tuple[str, Decimal], set[str]] = {}
    for line in invoice.lines:
        supplies.setdefault((line.tax.category, line.tax.rate), set()).add(line.supply)
    return frozenset(
        key
        for key in ((group.category, group.rate) for group in invoice.tax)
        if not (supplies.get(key) and supplies[key] <= PAID_ON_DELIVERY)
    )


# --- documents --------------------------------------------------------------------------------------------------------


def document_entry(
    invoice: Invoice, chart: ChartOfAccounts, *, day: date, piece_day: date, currency: str
) -> JournalEntry | None:
    """The entry of an issued document in the books' currency; None where it comes to nothing at all. A document in
    another currency has the rate that it was issued with."""
    sheet = _document_sheet(invoice, chart)
    foreign = None
    if invoice.currency != currency:
        accounting = invoice.accounting_tax
        assert accounting is not None and accounting.currency == currency, "what has no rate is not asked for"
        foreign, sheet = sheet, _converted(sheet, invoice, chart, accounting.rate, accounting.amount, currency)
    postings = sheet.postings(foreign)
    if not postings:
        return None
    return JournalEntry(
        "sales", day, invoice.number, piece_day, f"{_TITLES[invoice.type]} {invoice.number} {invoice.buyer.name}",
        currency, postings, invoice.currency if foreign else "",
    )  # fmt: skip


_TITLES = {"invoice": "Facture", "credit_note": "Avoir", "statement": "Autofacture"}


def _document_sheet(invoice: Invoice, chart: ChartOfAccounts) -> _Sheet:
    sheet = _Sheet()
    sign = -1 if invoice.type == "credit_note" else 1
    sheet.debit(buyer_account(invoice, chart), sign * invoice.total)
    for line in invoice.lines:
        sheet.credit(_Account(chart.account("sales", context_of(line, invoice.buyer.key))), sign * line.amount)
    for use in invoice.allowances:
        about = Context(tenant=invoice.buyer.key, tax=use.tax)
        sheet.debit(_Account(chart.account("discounts", about)), sign * use.amount)
    for account, amount in _vat_accounts(invoice, chart):
        sheet.credit(account, sign * amount)
    off = sum(sheet.amounts.values(), ZERO)
    if off:
        # What a document rounds in its total, and says so in no line.
        sheet.credit(_Account(chart.account("rounding")), off)
    return sheet


def _vat_accounts(invoice: Invoice, chart: ChartOfAccounts) -> Iterator[tuple[_Account, Decimal]]:
    waiting = awaiting_payment(invoice)
    for group in invoice.tax:
        about = Context(tenant=invoice.buyer.key, tax=TaxRate(group.category, group.rate))
        is_waiting = (group.category, group.rate) in waiting
        yield _Account(chart.account("vat_awaiting_payment" if is_waiting else "vat_collected", about)), group.amount


def context_of(line: InvoiceLine, tenant: str) -> Context:
    """What the chart may tell a line by."""
    return Context(tenant, line.trace.get("plan", ""), line.charge, line.supply or "service", line.tax)


def _converted(
    sheet: _Sheet, invoice: Invoice, chart: ChartOfAccounts, rate: Decimal, vat: Decimal, currency: str
) -> _Sheet:
    """The amounts in the books' currency: each account is rounded, VAT is what the document says it is, and the sale
    that is largest bears what rounding leaves."""
    sign = -1 if invoice.type == "credit_note" else 1
    made = _Sheet({account: round_amount(amount * rate, currency) for account, amount in sheet.amounts.items()})
    of_vat = [account for account, amount in _vat_accounts(invoice, chart) if amount]
    if of_vat:
        shown = -sum((made.amounts[account] for account in dict.fromkeys(of_vat)), ZERO)
        made.credit(of_vat[0], sign * vat - shown)
    others = [account for account in made.amounts if account not in of_vat][1:] or [next(iter(made.amounts))]
    largest = max(others, key=lambda account: abs(made.amounts[account]))
    made.credit(largest, sum(made.amounts.values(), ZERO))
    return made


# --- money ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MoneyMove:
    """What some money did for one invoice: `amount` of it pays the invoice now (below 0: no more), and of the VAT of
    the invoice `tax` is paid with it."""

    invoice: Invoice
    amount: Decimal
    tax: tuple[PaidTax, ...]


def money_entry(
    journal: Journal, chart: ChartOfAccounts, *, day: date, piece: str, piece_day: date, label: str, currency: str,
    received: Decimal, moves: Sequence[MoneyMove], tenant: str, name: str,
) -> JournalEntry | None:  # fmt: skip
    """The entry of money that came in (`received`, below 0 where it went back) and of what it pays. What is received
    and pays nothing yet is an advance of the payer's; what pays and is not received now comes off it."""
    sheet = _Sheet()
    auxiliary = chart.auxiliary(tenant)
    sheet.debit(_Account(chart.account("bank", Context(tenant=tenant))), received)
    for move in moves:
        sheet.credit(buyer_account(move.invoice, chart), move.amount)
        _transfer(sheet, move, chart)
    paid = sum((move.amount for move in moves), ZERO)
    advances = _Account(chart.account("advances", Context(tenant=tenant)), auxiliary, name)
    sheet.credit(advances, received - paid)
    postings = sheet.postings()
    if not postings:
        return None
    return JournalEntry(journal, day, piece, piece_day, label, currency, postings)


def _transfer(sheet: _Sheet, move: MoneyMove, chart: ChartOfAccounts) -> None:
    """VAT that waited for payment is owed from now on."""
    waiting = awaiting_payment(move.invoice)
    for part in move.tax:
        if (part.category, part.rate) in waiting:
            about = Context(tenant=move.invoice.buyer.key, tax=TaxRate(part.category, part.rate))
            sheet.debit(_Account(chart.account("vat_awaiting_payment", about)), part.amount)
            sheet.credit(_Account(chart.account("vat_collected", about)), part.amount)
