"""Which VAT does a document carry, and on what base?

VAT is computed per group of equal category and rate on the whole document, never summed from lines (EN 16931,
BR-CO-17): three lines of 0.33 at 20 % make one base of 0.99 and 0.20 of VAT.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from app.domain.money import ZERO, divide, round_amount
from app.domain.parties import EU_COUNTRIES, VatRegime

ONE = Decimal(1)

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
class ExchangeRate:
    """What one unit of one currency was worth in another on a day, by the word of `source`."""

    key: str
    from_currency: str
    to_currency: str
    date: date
    rate: Decimal
    source: str

    @property
    def turned(self) -> ExchangeRate:
        """The same the other way round, to 12 decimals."""
        return replace(
            self, from_currency=self.to_currency, to_currency=self.from_currency, rate=divide(ONE, self.rate, scale=12)
        )


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


# --- which tax a line has ---------------------------------------------------------------------------------------------

Why = Literal[
    "named", "default", "franchise", "not_subject", "not_registered", "reverse_charge", "intra_community", "export",
    "outside_eu", "where_it_stands", "not_checked",
]  # fmt: skip
"""Why a line has its tax, as its trace keeps it: none goes away."""

_BY_CATEGORY: dict[str, tuple[str, dict[str, str]]] = {
    "AE": ("VATEX-EU-AE", {"en": "Reverse charge", "fr": "Autoliquidation"}),
    "K": (
        "VATEX-EU-IC",
        {"en": "Intra-Community supply", "fr": "Livraison intracommunautaire, art. 262 ter, I du CGI"},
    ),
    "G": ("VATEX-EU-G", {"en": "Export outside the European Union", "fr": "Exportation, art. 262, I du CGI"}),
    "O": (
        "VATEX-EU-O",
        {"en": "Not subject to VAT of the European Union", "fr": "Opération hors du champ de la TVA de l'Union"},
    ),
}
_FRANCHISE = Exemption("VATEX-FR-FRANCHISE", "TVA non applicable, art. 293 B du CGI")
_SMALL_BUSINESS = {"en": "Exempt from VAT as a small business", "fr": "Exonération de TVA des petites entreprises"}


def exemption_of(category: str, language: str) -> Exemption | None:
    """The usual reason of a category that says enough by itself; None of S, Z and E, and of O where nothing is said."""
    found = _BY_CATEGORY.get(category)
    return None if found is None else Exemption(found[0], found[1].get(language, found[1]["en"]))


@dataclass(frozen=True, slots=True)
class TaxFacts:
    """What the tax of a charge hangs on. Countries are ISO 3166 codes, '' where none is known.

    `place` is where the thing stands that is used, `delivered_to` where goods go. `vat_number_of` is the country of the
    buyer's VAT number where a check found that it is valid. `names_rate` and `has_default` say whether the charge names
    a rate and the seller a default one; `language` is that of the document.
    """

    supply: Supply = "service"
    place: str = ""
    seller_country: str = ""
    seller_regime: VatRegime | None = None
    seller_registered: bool = True
    buyer_country: str = ""
    delivered_to: str = ""
    vat_number_of: str = ""
    names_rate: bool = False
    has_default: bool = False
    language: str = "en"


@dataclass(frozen=True, slots=True)
class TaxDecision:
    """`tax` where it is known; else it is the rate that the charge or its seller names, or with a `country` the rate of
    that country."""

    why: Why
    tax: TaxRate | None = None
    country: str = ""


def decide_tax(facts: TaxFacts) -> TaxDecision:
    """Which tax a charge has. What crosses no border has the seller's rate, and so has whatever nobody has checked.

    Council Directive 2006/112/EC: services to businesses are taxed where the buyer is (art. 44), rooms where they stand
    (47), vehicles where they are handed over (56), current where it is used (39), goods where they are sent from (32).
    """
    if facts.names_rate:
        return TaxDecision("named")
    if facts.seller_regime == "franchise":
        reason = _SMALL_BUSINESS.get(facts.language, _SMALL_BUSINESS["en"])
        exemption = _FRANCHISE if vat_area(facts.seller_country) == "FR" else Exemption("", reason)
        return TaxDecision("franchise", TaxRate("E", ZERO, exemption))
    if facts.seller_regime == "none":
        return TaxDecision("not_subject", OUT_OF_SCOPE)
    if not facts.seller_registered and not facts.has_default:
        return TaxDecision("not_registered", OUT_OF_SCOPE)
    if not facts.seller_registered or vat_area(facts.seller_country) not in EU_COUNTRIES:
        return TaxDecision("default")
    if facts.supply == "service":
        return _service(facts)
    return _goods(facts) if facts.supply == "goods" else _where_it_stands(facts)


def _service(facts: TaxFacts) -> TaxDecision:
    buyer = vat_area(facts.buyer_country)
    if buyer in ("", vat_area(facts.seller_country)):
        return TaxDecision("default")
    if not facts.vat_number_of:
        return TaxDecision("not_checked")
    if buyer not in EU_COUNTRIES:
        return _exempt("outside_eu", "O", facts)
    if vat_area(facts.vat_number_of) in EU_COUNTRIES - {vat_area(facts.seller_country)}:
        return _exempt("reverse_charge", "AE", facts)
    return TaxDecision("not_checked")


def _goods(facts: TaxFacts) -> TaxDecision:
    to, seller = vat_area(facts.delivered_to or facts.buyer_country), vat_area(facts.seller_country)
    if to in ("", seller):
        return TaxDecision("default")
    if to not in EU_COUNTRIES:
        return _exempt("export", "G", facts)
    if vat_area(facts.vat_number_of) in EU_COUNTRIES - {seller}:
        return _exempt("intra_community", "K", facts)
    return TaxDecision("not_checked")


def _where_it_stands(facts: TaxFacts) -> TaxDecision:
    place = vat_area(facts.place)
    if place in ("", vat_area(facts.seller_country)):
        return TaxDecision("default")
    if place not in EU_COUNTRIES:
        return _exempt("outside_eu", "O", facts)
    if vat_area(facts.vat_number_of) == place:
        return _exempt("reverse_charge", "AE", facts)
    return TaxDecision("where_it_stands", country=place)


def _exempt(why: Why, category: str, facts: TaxFacts) -> TaxDecision:
    return TaxDecision(why, TaxRate(category, ZERO, exemption_of(category, facts.language)))


def vat_area(country: str) -> str:
    """The country whose VAT holds there: Monaco's is France's, and Greece has a prefix of its own."""
    return {"MC": "FR", "EL": "GR"}.get(country, country)


def mixes_scopes(taxes: Iterable[TaxRate]) -> bool:
    """True where some of it is out of the scope of VAT and some is not: that cannot stand on one e-invoice (EN 16931,
    BR-O-11 to BR-O-14)."""
    return len({tax.category == "O" for tax in taxes}) > 1
