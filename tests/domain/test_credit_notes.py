"""What is left of an invoice, whatever was credited of it before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.charge_models.components import component
from app.domain.credit_notes import CreditWish, LineWish, credit_lines, left_of
from app.domain.errors import CreditExceedsLeft, NothingLeftToCredit
from app.domain.invoices import Invoice, InvoiceLine, numbered_lines, totals
from app.domain.money import ZERO
from app.domain.parties import Party
from app.domain.periods import Period
from app.domain.tax import TaxRate, summed_groups

CENT = Decimal("0.01")
PERIOD = Period(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
RATES = (TaxRate("S", Decimal(20)), TaxRate("S", Decimal("5.5")), TaxRate("S", Decimal("2.1")), TaxRate("E", ZERO))


def invoice_of(*lines: tuple[str, str, TaxRate]) -> Invoice:
    """An issued invoice of lines of (quantity, unit price, VAT rate)."""
    made = []
    for quantity, price, rate in lines:
        part = component("unit", Decimal(quantity), Decimal(price), "EUR")
        made.append(
            InvoiceLine("", "energy", "Energy", PERIOD, part.quantity, "kWh", part.amount, rate, (part,))
        )  # fmt: skip
    numbered = numbered_lines(made)
    net, tax, total = totals(numbered, "EUR")
    return Invoice(
        "inv_1", "invoice", "issued", Party("garage", "Garage"), Party("acme", "Acme"), "EUR", "en", "Europe/Paris",
        PERIOD, numbered, net, tax, total, number="2026-000001", issued_at=PERIOD.end,
    )  # fmt: skip


def note_of(invoice: Invoice, notes: list[Invoice], wish: CreditWish) -> Invoice:
    lines = numbered_lines(credit_lines(invoice, notes, wish))
    credited = summed_groups(group for note in notes for group in note.tax)
    net, tax, total = totals(lines, "EUR", credited=credited)
    return replace(invoice, id=f"inv_{len(notes) + 2}", type="credit_note", lines=lines, net=net, tax=tax, total=total)


PRICES = st.decimals(Decimal("0.01"), 50, places=4)
LINES = st.lists(
    st.tuples(st.integers(1, 40).map(str), PRICES.map(str), st.sampled_from(RATES)), min_size=1, max_size=5
)  # fmt: skip


@st.composite
def wishes(draw: st.DrawFn, invoice: Invoice, notes: list[Invoice]) -> CreditWish | None:
    """A partial credit of what is left; None where so little is left that there is none."""
    left = left_of(invoice, notes)
    whole = sum((item.amount for item in left.values()), ZERO)
    if draw(st.booleans()):
        return CreditWish("r", amount=draw(st.decimals(CENT, whole, places=2))) if whole > CENT else None
    open_lines = [item for item in left.values() if item.amount > 0]
    item = draw(st.sampled_from(open_lines))
    if draw(st.booleans()) and item.quantity >= 1:
        quantity = Decimal(draw(st.integers(1, int(item.quantity))))
        return CreditWish("r", lines=(LineWish(item.line.id, quantity=quantity),))
    return CreditWish("r", lines=(LineWish(item.line.id, amount=draw(st.decimals(CENT, item.amount, places=2))),))


@given(LINES, st.data())
def test_any_partial_credits_end_exactly_at_nothing_each_within_a_cent(
    lines: list[tuple[str, str, TaxRate]], data: st.DataObject
) -> None:
    """However an invoice is credited, in the end net, VAT of each rate and total are credited to the cent, and no
    note's VAT is a cent or more off its own base x rate."""
    invoice = invoice_of(*lines)
    notes: list[Invoice] = []
    for _ in range(data.draw(st.integers(0, 6))):
        if not any(item.amount > 0 for item in left_of(invoice, notes).values()):
            break
        wish = data.draw(wishes(invoice, notes))
        if wish is None:
            break
        try:
            notes.append(note_of(invoice, notes, wish))
        except CreditExceedsLeft:
            continue  # a quantity of which a part was credited by amount already
    if any(item.amount for item in left_of(invoice, notes).values()):
        notes.append(note_of(invoice, notes, CreditWish("the rest")))

    assert all(item.amount == 0 for item in left_of(invoice, notes).values())
    assert sum((note.net for note in notes), ZERO) == invoice.net
    assert sum((note.total for note in notes), ZERO) == invoice.total
    of_all = {(group.category, group.rate): group for note in notes for group in summed_groups(note.tax)}
    summed = {(g.category, g.rate): g for g in summed_groups(group for note in notes for group in note.tax)}
    assert of_all.keys() == summed.keys()
    for group in invoice.tax:
        if group.base:
            assert summed[group.category, group.rate] == group
    for note in notes:
        for group in note.tax:
            assert abs(group.amount - group.base * group.rate / 100) < CENT
        assert all(line.amount >= 0 for line in note.lines)
        assert all(sum(part.amount for part in line.components) == line.amount for line in note.lines)
    if invoice.net:
        with pytest.raises(NothingLeftToCredit):
            credit_lines(invoice, notes, CreditWish("more"))


@given(st.integers(2, 60), PRICES)
def test_units_credited_one_by_one_are_the_line_each_within_a_cent(units: int, price: Decimal) -> None:
    """3 units for 100.00 are 33.33, 33.34 and 33.33."""
    invoice = invoice_of((str(units), str(price), RATES[0]))
    share = invoice.lines[0].amount / units
    notes: list[Invoice] = []
    for _ in range(units):
        notes.append(note_of(invoice, notes, CreditWish("r", lines=(LineWish("ln_1", quantity=Decimal(1)),))))
        assert abs(notes[-1].net - share) <= CENT
    assert sum((note.net for note in notes), ZERO) == invoice.net


def test_three_units_of_a_hundred_are_credited_one_by_one() -> None:
    invoice = invoice_of(("3", "33.333333", RATES[0]))
    notes: list[Invoice] = []
    for _ in range(3):
        notes.append(note_of(invoice, notes, CreditWish("r", lines=(LineWish("ln_1", quantity=Decimal(1)),))))
    assert [str(note.net) for note in notes] == ["33.33", "33.34", "33.33"]


def test_a_negative_line_lowers_what_its_rate_has_to_be_credited() -> None:
    """100.00 and -20.00 at one rate: of the first line no more than 80.00 can be credited."""
    invoice = invoice_of(("100", "1", RATES[0]), ("-20", "1", RATES[0]))
    with pytest.raises(CreditExceedsLeft) as refused:
        credit_lines(invoice, [], CreditWish("r", lines=(LineWish("ln_1"),)))
    assert refused.value.facts["left"] == "80.00"
    assert [str(line.amount) for line in credit_lines(invoice, [], CreditWish("all"))] == ["100.00", "-20.00"]
