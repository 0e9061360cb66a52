"""Which VAT does a document carry, and on what base?

VAT is computed per group of equal category and rate on the whole document, never summed from lines (EN 16931,
BR-CO-17): three lines of 0.33 at 20 % make one base of 0.99 and 0.20 of VAT.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from app.domain.money import ZERO, round_amount

CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O")
"""VAT categories of EN 16931 (UNTDID 5305): only S has a rate above 0; O, out of scope, has none."""


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A VAT category with its rate in percent; the rate is 0 for every category but S."""

    category: str
    rate: Decimal


OUT_OF_SCOPE = TaxRate("O", ZERO)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """One group of a document: VAT `amount` = `base` x rate / 100, rounded half up to the currency."""

    category: str
    rate: Decimal
    base: Decimal
    amount: Decimal


def group_tax(lines: Iterable[tuple[TaxRate, Decimal]], currency: str) -> tuple[TaxGroup, ...]:
    """One group for each (category, rate) among the lines' net amounts, by category, then rate."""
    bases: dict[tuple[str, Decimal], Decimal] = {}
    for tax, amount in lines:
        bases[tax.category, tax.rate] = bases.get((tax.category, tax.rate), ZERO) + amount
    return tuple(
        TaxGroup(category, rate, base, round_amount(base * rate / 100, currency))
        for (category, rate), base in sorted(bases.items())
    )


def summed_groups(groups: Iterable[TaxGroup]) -> tuple[TaxGroup, ...]:
    """The groups of several documents together: bases and VAT added up for each (category, rate)."""
    sums: dict[tuple[str, Decimal], tuple[Decimal, Decimal]] = {}
    for group in groups:
        base, amount = sums.get((group.category, group.rate), (ZERO, ZERO))
        sums[group.category, group.rate] = (base + group.base, amount + group.amount)
    return tuple(TaxGroup(category, rate, *pair) for (category, rate), pair in sums.items())
