"""Which VAT does a document carry, and on what base?

VAT is computed per group of equal category and rate on the whole document, never summed from lines (EN 16931,
BR-CO-17): three lines of 0.33 at 20 % make one base of 0.99 and 0.20 of VAT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal

from app.domain.money import ZERO, round_amount

CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O")
"""VAT categories of EN 16931 (UNTDID 5305): only S has a rate above 0; O, out of scope, has none."""


Supply = Literal["service", "goods", "electricity", "immovable", "hire_of_transport"]
"""What a charge is for, as VAT sees it: rooms are taxed where they stand, and charging a car is a supply of goods."""
SUPPLIES: tuple[Supply, ...] = ("service", "goods", "electricity", "immovable", "hire_of_transport")


@dataclass(frozen=True, slots=True)
class Exemption:
    """Why there is no VAT: a code of the VATEX list ('' where none fits) and the sentence that documents print."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A VAT category with its rate in percent; the rate is 0 for every category but S.

    `exemption` says why there is none; two rates are one rate whatever it says, and share a group of the document.
    """

    category: str
    rate: Decimal
    exemption: Exemption | None = field(default=None, compare=False)


OUT_OF_SCOPE = TaxRate("O", ZERO)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """One group of a document: VAT `amount` = `base` x rate / 100, rounded half up to the currency."""

    category: str
    rate: Decimal
    base: Decimal
    amount: Decimal
    exemption: Exemption | None = None


def group_tax(lines: Iterable[tuple[TaxRate, Decimal]], currency: str) -> tuple[TaxGroup, ...]:
    """One group for each (category, rate) among the lines' net amounts, by category, then rate."""
    bases: dict[tuple[str, Decimal], Decimal] = {}
    exemptions: dict[tuple[str, Decimal], list[Exemption]] = {}
    for tax, amount in lines:
        key = tax.category, tax.rate
        bases[key] = bases.get(key, ZERO) + amount
        said = exemptions.setdefault(key, [])
        if tax.exemption is not None and tax.exemption not in said:
            said.append(tax.exemption)
    return tuple(
        TaxGroup(category, rate, base, round_amount(base * rate / 100, currency), _together(exemptions[category, rate]))
        for (category, rate), base in sorted(bases.items())
    )


def _together(exemptions: Sequence[Exemption]) -> Exemption | None:
    """What a group says of several lines that are exempt for different reasons: all of them, and no one code."""
    if len(exemptions) < 2:
        return exemptions[0] if exemptions else None
    codes = {item.code for item in exemptions}
    return Exemption(codes.pop() if len(codes) == 1 else "", " ".join(item.reason for item in exemptions))


def summed_groups(groups: Iterable[TaxGroup]) -> tuple[TaxGroup, ...]:
    """The groups of several documents together: bases and VAT added up for each (category, rate)."""
    sums: dict[tuple[str, Decimal], TaxGroup] = {}
    for group in groups:
        before = sums.get((group.category, group.rate))
        if before is not None:
            group = replace(before, base=before.base + group.base, amount=before.amount + group.amount)
        sums[group.category, group.rate] = group
    return tuple(sums.values())
