"""What does EN 16931 call the parts of an e-invoice?

The norm's own model, in its words and by its numbers (BT- and BG-). `make_e_invoice` makes it from a document; the
writers of the two syntaxes only spell it out, and `e_invoice_checks` holds its amounts against one another. Absent
texts are ''.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from app.domain.parties import Address, BuyerReferences, Contact, ElectronicAddress

PROFILE = "urn:cen.eu:en16931:2017"

TypeCode = Literal["380", "381", "386", "389"]
"""Invoice, credit note, invoice of a prepayment, self-billed invoice (UNTDID 1001)."""


def cents(amount: Decimal) -> str:
    """An amount as e-invoices write it: with two decimals, whatever the currency (BR-DEC allows no more)."""
    return f"{amount:.2f}"


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number and the list that it is from (ISO 6523); '' where it is from none."""

    value: str
    scheme: str = ""


@dataclass(frozen=True, slots=True)
class TradeParty:
    """BG-4 or BG-7. Absent texts are ''."""

    name: str  # BT-27, BT-44
    address: Address  # BG-5, BG-8
    identifiers: tuple[Identifier, ...] = ()  # BT-29, BT-46
    legal_number: Identifier | None = None  # BT-30, BT-47
    vat_number: str = ""  # BT-31, BT-48
    tax_number: str = ""  # BT-32
    legal_form: str = ""  # BT-33
    electronic_address: ElectronicAddress | None = None  # BT-34, BT-49
    contact: Contact | None = None  # BG-6, BG-9


@dataclass(frozen=True, slots=True)
class IncludedNote:
    """BG-1: a text and what it is about (UNTDID 4451); '' where it is about nothing particular."""

    text: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Days:
    """BG-14, BG-26: a period by its first and its last day."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class AmountOff:
    """BG-20, BG-27, and BG-21, BG-28 where it `adds`: always an amount of 0 or more."""

    amount: Decimal
    reason: str
    adds: bool = False
    category: str = ""
    rate: Decimal | None = None

    @property
    def signed(self) -> Decimal:
        return self.amount if self.adds else -self.amount


@dataclass(frozen=True, slots=True)
class VatGroup:
    """BG-23. `rate` is None for category O; a reason stands where there is no VAT."""

    category: str
    rate: Decimal | None
    base: Decimal
    amount: Decimal
    reason: str = ""
    reason_code: str = ""


@dataclass(frozen=True, slots=True)
class CreditTransfer:
    """BG-16 with BG-17: how the seller wants to be paid."""

    means: str  # BT-81
    reference: str  # BT-83
    iban: str  # BT-84
    account_name: str  # BT-85
    bic: str = ""  # BT-86


@dataclass(frozen=True, slots=True)
class Preceding:
    """BG-3: an earlier document that this one concerns."""

    number: str
    issued_on: date


@dataclass(frozen=True, slots=True)
class ELine:
    """BG-25: net amount = quantity x price / base, rounded, less what is taken off."""

    id: str  # BT-126
    name: str  # BT-153
    quantity: Decimal  # BT-129
    unit_code: str  # BT-130
    price: Decimal  # BT-146
    price_base: Decimal  # BT-149
    amount: Decimal  # BT-131
    category: str  # BT-151
    rate: Decimal | None  # BT-152
    period: Days  # BG-26
    description: str = ""  # BT-154
    allowances: tuple[AmountOff, ...] = ()
    cost_centre: str = ""  # BT-133
    source: str = ""
    """Where in the document it comes from, as a pointer."""


@dataclass(frozen=True, slots=True)
class ETotals:
    """BG-22."""

    lines: Decimal  # BT-106
    allowances: Decimal  # BT-107
    charges: Decimal  # BT-108
    net: Decimal  # BT-109
    vat: Decimal  # BT-110
    gross: Decimal  # BT-112
    paid: Decimal  # BT-113
    due: Decimal  # BT-115


@dataclass(frozen=True, slots=True)
class EInvoice:
    """An invoice or a credit note as EN 16931 has it. Absent texts are ''."""

    number: str  # BT-1
    issued_on: date  # BT-2
    type_code: TypeCode  # BT-3
    currency: str  # BT-5
    due_on: date | None  # BT-9
    references: BuyerReferences  # BT-10 to BT-13, BT-19
    terms: str  # BT-20
    notes: tuple[IncludedNote, ...]
    process: str  # BT-23
    preceding: tuple[Preceding, ...]
    seller: TradeParty
    buyer: TradeParty
    delivered_on: date  # BT-72
    delivery_address: Address | None  # BG-15
    period: Days
    payment: CreditTransfer | None
    allowances: tuple[AmountOff, ...]
    totals: ETotals
    vat: tuple[VatGroup, ...]
    lines: tuple[ELine, ...]
    vat_due: str = ""  # BT-8, by UNTDID 2475: 5 issue, 29 delivery, 72 payment
    accounting_currency: str = ""  # BT-6
    accounting_vat: Decimal | None = None  # BT-111
