"""Who sells and who buys, as the law wants them named: the parties of a document.

A tenant's legal profile may change at any time. A document copies what it prints of it when it is drafted, and what
stands in it at issue stays: a company that moves in May still has its old address on the invoice of April.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

VatRegime = Literal["on_payment", "on_debits", "franchise", "vat_group", "none"]
"""How a seller owes VAT: when it is paid (services in France), when it is invoiced, not at all below the threshold of
small businesses, as a member of a group that is one taxable person, or as nobody who is subject to it."""
VAT_REGIMES: tuple[VatRegime, ...] = ("on_payment", "on_debits", "franchise", "vat_group", "none")

_MEMBER_STATES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
EU_COUNTRIES = frozenset(_MEMBER_STATES.split())
"""Member states by ISO 3166; the VAT numbers of Greece begin with EL."""


@dataclass(frozen=True, slots=True)
class Address:
    line1: str
    postcode: str
    city: str
    country: str
    line2: str = ""


@dataclass(frozen=True, slots=True)
class ElectronicAddress:
    """Where e-invoices go: `scheme` is a code of the EAS list (0225 for French companies), `id` the address in it."""

    scheme: str
    id: str


@dataclass(frozen=True, slots=True)
class Capital:
    """A company's share capital, which its documents state."""

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to ask; absent texts are '', and one of them is not."""

    name: str = ""
    email: str = ""
    phone: str = ""


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """Due so many days after issue, and then at the end of that month where `end_of_month` says so."""

    days: int
    end_of_month: bool = False


@dataclass(frozen=True, slots=True)
class LogoName:
    """The picture that documents show, by the SHA-256 of its bytes (hex): they are kept once, beside all documents."""

    digest: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture and its bytes."""

    name: LogoName
    content: bytes


@dataclass(frozen=True, slots=True)
class BuyerReferences:
    """What a buyer wants to read on what it is billed; absent texts are ''.

    In EN 16931 these are BT-13, BT-10, BT-12, BT-11 and BT-19.
    """

    purchase_order: str = ""
    buyer_reference: str = ""
    contract_reference: str = ""
    project_reference: str = ""
    cost_centre: str = ""

    def over(self, other: BuyerReferences) -> BuyerReferences:
        """These, and those of the other where nothing is said here."""
        return BuyerReferences(*(getattr(self, name) or getattr(other, name) for name in REFERENCE_NAMES))

    def beyond(self, other: BuyerReferences) -> BuyerReferences:
        """Those of these that the other does not say too."""
        return BuyerReferences(
            *("" if getattr(self, name) == getattr(other, name) else getattr(self, name) for name in REFERENCE_NAMES)
        )


def in_common(references: Collection[BuyerReferences]) -> BuyerReferences:
    """What all of these say alike."""
    values = ({getattr(one, name) for one in references} for name in REFERENCE_NAMES)
    return BuyerReferences(*(found.pop() if len(found) == 1 else "" for found in values))


REFERENCE_NAMES = ("purchase_order", "buyer_reference", "contract_reference", "project_reference", "cost_centre")
NO_REFERENCES = BuyerReferences()


@dataclass(frozen=True, slots=True)
class VatCheck:
    """What a register said of a VAT number on a day: `source` is the register (VIES), `consultation_number` the proof
    that it gave of the question."""

    vat_number: str
    date: date
    valid: bool
    source: str = ""
    consultation_number: str = ""


@dataclass(frozen=True, slots=True)
class PurchaseOrder:
    """An order of the buyer: good for documents issued from `valid_from` to `valid_to` (both days count; None: without
    limit), and for a net of `cap` in all, in the buyer's currency."""

    number: str
    valid_from: date | None = None
    valid_to: date | None = None
    cap: Decimal | None = None

    def covers(self, day: date) -> bool:
        return (self.valid_from or day) <= day <= (self.valid_to or day)


@dataclass(frozen=True, slots=True)
class Legal:
    """What the law wants on a document. Absent texts are ''; an address is complete or None.

    `registration` is the number in the company register (in France the SIREN), `siret` that of the establishment.
    `register` and `register_town` read "RCS Paris". The terms are sentences as documents print them: penalties for late
    payment, a discount for early payment, the flat fee for recovery. `payment_terms` hold for what the tenant sells,
    and where it buys, for what it is sold.
    """

    name: str
    registration: str = ""
    vat_number: str = ""
    address: Address | None = None
    siret: str = ""
    legal_form: str = ""
    share_capital: Capital | None = None
    register: str = ""
    register_town: str = ""
    vat_regime: VatRegime | None = None
    electronic_address: ElectronicAddress | None = None
    iban: str = ""
    bic: str = ""
    payment_terms: PaymentTerms | None = None
    penalty_terms: str = ""
    discount_terms: str = ""
    recovery_terms: str = ""
    contacts: tuple[Contact, ...] = ()
    logo: LogoName | None = None
    colour: str = ""

    @property
    def country(self) -> str:
        return "" if self.address is None else self.address.country


@dataclass(frozen=True, slots=True)
class Party:
    """A tenant's legal data as of issue. Absent texts are ''. What only sellers print, a buyer's does not have."""

    key: str
    name: str
    registration: str = ""
    vat_number: str = ""
    address: Address | None = None
    siret: str = ""
    legal_form: str = ""
    share_capital: Capital | None = None
    register: str = ""
    register_town: str = ""
    vat_regime: VatRegime | None = None
    electronic_address: ElectronicAddress | None = None
    contacts: tuple[Contact, ...] = ()
    iban: str = ""
    bic: str = ""
    penalty_terms: str = ""
    discount_terms: str = ""
    recovery_terms: str = ""
    logo: LogoName | None = None
    colour: str = ""
    billing_address: Address | None = None


_COMMON = (
    "registration", "vat_number", "address", "siret", "legal_form", "share_capital", "register", "register_town",
    "vat_regime", "electronic_address", "contacts",
)  # fmt: skip
_OF_SELLERS = ("iban", "bic", "penalty_terms", "discount_terms", "recovery_terms", "logo", "colour")


def seller_party(key: str, name: str, legal: Legal | None) -> Party:
    """The seller as a document names it; by its plain name where it gave no legal one."""
    if legal is None:
        return Party(key, name)
    return Party(key, legal.name or name, **{field: getattr(legal, field) for field in (*_COMMON, *_OF_SELLERS)})


def buyer_party(key: str, name: str, legal: Legal | None, *, billing_address: Address | None = None) -> Party:
    """The buyer as a document names it."""
    if legal is None:
        return Party(key, name, billing_address=billing_address)
    common = {field: getattr(legal, field) for field in _COMMON}
    return Party(key, legal.name or name, billing_address=billing_address, **common)
