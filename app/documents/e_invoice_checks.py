"""Do the amounts of an e-invoice follow from one another, to the cent?

The official rules leave holes: they let a VAT total pass that is off by a cent (BR-CO-17 tolerates one), and do not ask
whether a line is its quantity times its price. These checks are exact: 152.00 at 20 % is 30.40 of VAT and nothing else.
A note that credits an invoice in parts is the exception: its VAT is that of all that was credited so far less what was
credited before, which may be a cent from its own base times the rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from app.documents.e_invoice import EInvoice, VatGroup
from app.domain.money import ZERO, round_amount

_CENT = Decimal("0.01")


def disagreements(document: EInvoice) -> Iterator[str]:
    """Each amount that is not what it must be, with the rule that says so; nothing where all are."""
    yield from _lines(document)
    yield from _totals(document)
    yield from _groups(document)


def _lines(document: EInvoice) -> Iterator[str]:
    for line in document.lines:
        # The base is a power of ten, so that the product is exact and is rounded once.
        product = round_amount(line.quantity * line.price / line.price_base, document.currency)
        amount = product + sum((item.signed for item in line.allowances), ZERO)
        if amount != line.amount:
            yield (
                f"line {line.id}: {line.quantity:f} x {line.price:f} / {line.price_base:f} and its allowances are "
                f"{amount}, not {line.amount}"
            )
        if line.price < 0:
            yield f"line {line.id}: a net price is not negative (BR-27)"


def _totals(document: EInvoice) -> Iterator[str]:
    totals = document.totals
    allowances = sum((item.amount for item in document.allowances if not item.adds), ZERO)
    charges = sum((item.amount for item in document.allowances if item.adds), ZERO)
    expected = (
        ("BR-CO-10", "the sum of the lines", totals.lines, sum((line.amount for line in document.lines), ZERO)),
        ("BR-CO-11", "the sum of the allowances", totals.allowances, allowances),
        ("BR-CO-12", "the sum of the charges", totals.charges, charges),
        ("BR-CO-13", "the total without VAT", totals.net, totals.lines - allowances + charges),
        ("BR-CO-14", "the total VAT", totals.vat, sum((group.amount for group in document.vat), ZERO)),
        ("BR-CO-15", "the total with VAT", totals.gross, totals.net + totals.vat),
        ("BR-CO-16", "the amount due", totals.due, totals.gross - totals.paid),
    )
    for rule, name, stated, computed in expected:
        if stated != computed:
            yield f"{name} is {computed}, not {stated} ({rule})"


def _groups(document: EInvoice) -> Iterator[str]:
    bases: dict[tuple[str, Decimal | None], Decimal] = {}
    for category, rate, amount in (
        *((line.category, line.rate, line.amount) for line in document.lines),
        *((item.category, item.rate, item.signed) for item in document.allowances),
    ):
        bases[category, rate] = bases.get((category, rate), ZERO) + amount
    stated = {(group.category, group.rate): group for group in document.vat}
    if len(stated) != len(document.vat) or stated.keys() != bases.keys():
        yield "there is one VAT group for each category and rate of the lines, and no other (BR-CO-18)"
        return
    tolerance = _CENT if document.type_code == "381" else ZERO
    for key, group in stated.items():
        if group.base != bases[key]:
            yield f"the base of {_named(group)} is {bases[key]}, not {group.base} (BR-S-08)"
        vat = round_amount(group.base * (group.rate or ZERO) / 100, document.currency)
        if abs(group.amount - vat) > tolerance:
            yield f"the VAT of {_named(group)} is {vat}, not {group.amount} (BR-CO-17)"


def _named(group: VatGroup) -> str:
    return group.category if group.rate is None else f"{group.category} {group.rate:f} %"
