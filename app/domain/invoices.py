"""What is an invoice, what does it add up to, and what of it is fixed at issue?"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

from app.domain.charge_models import Component, keep_component
from app.domain.credit import CreditUse
from app.domain.events import instant_text
from app.domain.ids import parse_public_id
from app.domain.kept_parties import keep_party, keep_references, keep_set
from app.domain.money import ZERO, plain, round_amount
from app.domain.parties import NO_REFERENCES, REFERENCE_NAMES, Address, BuyerReferences, Party
from app.domain.periods import Period
from app.domain.rating.lines import Allowance
from app.domain.tax import ExchangeRate, Supply, TaxGroup, TaxRate, group_tax

InvoiceType = Literal["invoice", "credit_note", "statement"]


@dataclass(frozen=True, slots=True)
class AccountingTax:
    """The VAT of a document in the currency in which its seller declares it (EN 16931, BT-6 and BT-111).

    `rate` is what one unit of the document's currency was worth in `currency` on `date`, by the word of `source`.
    """

    currency: str
    amount: Decimal
    rate: Decimal
    source: str
    date: date


BY_HAND = ("credits", "standing", "waived")
"""What a trace says of what a person did to a line: rating it anew knows nothing of that."""


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """amount = sum of components - sum of allowances; on a credit note what lowers the debt is positive.

    `kind` is `charge` (a period billed for the first time), `difference` (late use of a period billed before), `credit`
    or `one_off` (written by a person). What is billed for the first time may stand on a credit note too, where more is
    owed to the buyer than by it. `trace` is what the line was computed from, JSON-ready: `explain` renders it, `audit`
    computes it anew. `supply` is what was sold, as VAT sees it ('': a service); `references` are the buyer's that the
    document as a whole does not have.
    """

    id: str
    charge: str
    description: str
    period: Period
    quantity: Decimal
    unit: str
    amount: Decimal
    tax: TaxRate
    components: tuple[Component, ...]
    allowances: tuple[Allowance, ...] = ()
    kind: Literal["charge", "difference", "credit", "one_off"] = "charge"
    reopens_usage: bool = False
    subscription: str = ""
    trace: dict[str, Any] = field(default_factory=dict)
    supply: Supply | Literal[""] = ""
    references: BuyerReferences = NO_REFERENCES

    @property
    def is_rated(self) -> bool:
        """False of a line that a person wrote: it bills no charge, and nothing measures it anew."""
        return "rated" in self.trace

    @property
    def waived(self) -> Decimal:
        """What a person took off it: use that counts as billed all the same."""
        return Decimal(self.trace["waived"]["amount"]) if "waived" in self.trace else ZERO


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier document that this one concerns: the invoice that a credit note lowers."""

    invoice_id: str
    number: str
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class Remarks:
    """What a person wrote on a document as a whole: why a credit note was written and to what it refers, a note to the
    buyer. Absent texts are ''."""

    reason: str = ""
    reference: str = ""
    note: str = ""


NO_REMARKS = Remarks()


@dataclass(frozen=True, slots=True)
class Invoice:
    """A draft (no number, no hash) or an issued document; `credited` and `paid` stand outside the hashed content, and
    of a draft whether it is on hold or approved.

    Of what the buyer wants to read on it, absent texts are ''. `delivery_address` is where the buyer was served, where
    that is another place than its own address; `accounting_tax` is there where the seller declares its VAT in another
    currency.
    """

    id: str
    type: InvoiceType
    status: Literal["draft", "issued"]
    seller: Party
    buyer: Party
    currency: str
    language: str
    time_zone: str
    period: Period
    lines: tuple[InvoiceLine, ...]
    net: Decimal
    tax: tuple[TaxGroup, ...]
    total: Decimal
    number: str = ""
    issued_at: datetime | None = None
    due_date: date | None = None
    hash: str = ""
    previous_hash: str = ""
    references: tuple[Reference, ...] = ()
    allowances: tuple[CreditUse, ...] = ()
    remarks: Remarks = NO_REMARKS
    paid: Decimal = Decimal(0)
    credited: Decimal = Decimal(0)
    purchase_order: str = ""
    buyer_reference: str = ""
    contract_reference: str = ""
    project_reference: str = ""
    cost_centre: str = ""
    delivery_address: Address | None = None
    accounting_tax: AccountingTax | None = None
    hold: bool = False
    hold_reason: str = ""
    approved: bool = False


def turned(line: InvoiceLine) -> InvoiceLine:
    """The line as it stands on a document of the other kind: -15.00 of an invoice is 15.00 of a credit note."""
    return replace(
        line, quantity=-line.quantity, amount=-line.amount,
        components=tuple(replace(item, quantity=-item.quantity, amount=-item.amount) for item in line.components),
        allowances=tuple(replace(item, amount=-item.amount) for item in line.allowances),
        trace=line.trace if "waived" not in line.trace else line.trace | {
            "waived": line.trace["waived"] | {"amount": plain(-line.waived)}},
    )  # fmt: skip


def charged_allowances(line: InvoiceLine) -> tuple[Allowance, ...]:
    """The line's allowances without the last one, where that is what a person waived of it."""
    return line.allowances[:-1] if "waived" in line.trace else line.allowances


def numbered_lines(lines: Iterable[InvoiceLine]) -> tuple[InvoiceLine, ...]:
    """The lines with their ids within the document: ln_1, ln_2, .."""
    return tuple(replace(line, id=f"ln_{position}") for position, line in enumerate(lines, 1))


@dataclass(frozen=True, slots=True)
class LineGroup:
    """The lines of one subscription on a document of several; '' names those of none. `net` is their sum, before any
    allowance of the whole document."""

    subscription: str
    lines: tuple[InvoiceLine, ...]
    net: Decimal


def line_groups(invoice: Invoice) -> tuple[LineGroup, ...]:
    """The lines by subscription, in their order; none where all are of one."""
    lines: dict[str, list[InvoiceLine]] = {}
    for line in invoice.lines:
        lines.setdefault(line.subscription, []).append(line)
    if len(lines) < 2:
        return ()
    return tuple(
        LineGroup(name, tuple(own), sum((line.amount for line in own), ZERO)) for name, own in lines.items()
    )  # fmt: skip


def units_drawn(lines: Iterable[InvoiceLine]) -> dict[UUID, Decimal]:
    """What the lines draw from each grant of prepaid units, less what they give back to it, as their traces say."""
    sums: dict[UUID, Decimal] = {}
    for line in lines:
        for name, amount in line.trace.get("drawn", ()):
            key = parse_public_id("cg", name)
            if key is not None:
                sums[key[1]] = sums.get(key[1], ZERO) + Decimal(amount)
    return sums


def totals(
    lines: tuple[InvoiceLine, ...], currency: str, *, allowances: tuple[CreditUse, ...] = (),
    credited: tuple[TaxGroup, ...] = (),
) -> tuple[Decimal, tuple[TaxGroup, ...], Decimal]:  # fmt: skip
    """Net, VAT by group, and total of a document (EN 16931, BR-CO-10 to BR-CO-17).

    `allowances` are the credit that lowers the net of its VAT group, before tax.

    For a credit note `credited` is what earlier notes on the same invoice took back: its VAT is that of the cumulative
    base less the VAT credited before, so that any number of notes adds up to the invoice's VAT to the cent.
    """
    amounts = [(line.tax, line.amount) for line in lines] + [(use.tax, -use.amount) for use in allowances]
    net = sum((amount for _, amount in amounts), ZERO)
    groups = group_tax(amounts, currency)
    before = {(group.category, group.rate): group for group in credited}
    groups = tuple(_less_credited(group, before.get((group.category, group.rate)), currency) for group in groups)
    return net, groups, net + sum((group.amount for group in groups), ZERO)


def _less_credited(group: TaxGroup, before: TaxGroup | None, currency: str) -> TaxGroup:
    if before is None:
        return group
    cumulative = round_amount((before.base + group.base) * group.rate / 100, currency)
    return replace(group, amount=cumulative - before.amount)


def accounting_tax(
    invoice: Invoice, rate: ExchangeRate, *, earlier: Sequence[Invoice] = (), declared_before: Decimal = ZERO
) -> AccountingTax:
    """The document's VAT in the other currency, rounded half up. For a credit note `earlier` are the notes before it on
    its invoice, and `declared_before` what they took back: each has the cumulative VAT's less that."""
    vat = sum((group.amount for one in (*earlier, invoice) for group in one.tax), ZERO)
    amount = round_amount(vat * rate.rate, rate.to_currency) - declared_before
    return AccountingTax(rate.to_currency, amount, rate.rate, rate.source, rate.date)


# --- what is fixed at issue -------------------------------------------------------------------------------------------


def content(invoice: Invoice) -> dict[str, Any]:
    """All of an issued document that may never change, JSON-ready; numbers as plain text, instants in UTC."""
    return _content(invoice, [line_content(line) for line in invoice.lines])


def _content(invoice: Invoice, lines: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": invoice.id, "type": invoice.type, "number": invoice.number, "seller": keep_party(invoice.seller),
        "buyer": keep_party(invoice.buyer), "currency": invoice.currency, "language": invoice.language,
        "time_zone": invoice.time_zone, "period": _period(invoice.period),
        "issued_at": invoice.issued_at and instant_text(invoice.issued_at),
        "due_date": invoice.due_date and invoice.due_date.isoformat(),
        "lines": lines, "net": plain(invoice.net),
        "tax": [keep_group(group) for group in invoice.tax],
        "total": plain(invoice.total),
        "references": [[item.invoice_id, item.number, instant_text(item.issued_at)] for item in invoice.references],
        "previous_hash": invoice.previous_hash,
    } | _allowances_content(invoice.allowances) | _remarks_content(invoice.remarks) | keep_details(invoice)  # fmt: skip


def keep_group(group: TaxGroup) -> list[Any]:
    """[category, rate, base, amount], and the exemption where there is one."""
    kept: list[Any] = [group.category, plain(group.rate), plain(group.base), plain(group.amount)]
    return kept if group.exemption is None else [*kept, keep_set(group.exemption)]


_DETAILS = (*REFERENCE_NAMES, "delivery_address", "accounting_tax")


def keep_details(invoice: Invoice) -> dict[str, Any]:
    """What few documents have, each only where it is set: documents from before there was such a field keep their
    hash."""
    values = ((name, getattr(invoice, name)) for name in _DETAILS)
    return {name: keep_set(value) for name, value in values if value not in ("", None)}


def _allowances_content(allowances: tuple[CreditUse, ...]) -> dict[str, Any]:
    """Nothing where there are none: a document from before there was credit keeps its hash."""
    if not allowances:
        return {}
    return {
        "allowances": [
            [use.grant_id.hex, use.description, plain(use.amount), use.tax.category, plain(use.tax.rate)]
            for use in allowances
        ]
    }


def _remarks_content(remarks: Remarks) -> dict[str, Any]:
    """Nothing where nobody wrote any, as for allowances."""
    return {} if remarks == NO_REMARKS else {"remarks": asdict(remarks)}


def line_content(line: InvoiceLine) -> dict[str, Any]:
    """One line of that content; its trace takes part by its digest."""
    return {
        "id": line.id, "kind": line.kind, "subscription": line.subscription, "charge": line.charge,
        "description": line.description, "period": _period(line.period), "quantity": plain(line.quantity),
        "unit": line.unit, "amount": plain(line.amount), "tax": [line.tax.category, plain(line.tax.rate)],
        "components": [keep_component(item) for item in line.components],
        "allowances": [[item.description, plain(item.amount)] for item in line.allowances],
        "reopens_usage": line.reopens_usage, "trace": sha256(canonical(line.trace)).hexdigest(),
    } | keep_line_details(line)  # fmt: skip


def keep_line_details(line: InvoiceLine) -> dict[str, Any]:
    """What few lines have, each only where it is set."""
    exemption = {} if line.tax.exemption is None else {"exemption": keep_set(line.tax.exemption)}
    supply = {"supply": line.supply} if line.supply else {}
    references = {} if line.references == NO_REFERENCES else {"references": keep_references(line.references)}
    return exemption | supply | references


def line_digest(line: InvoiceLine) -> bytes:
    """32 bytes that change when anything of the line does: they let an audit name it."""
    return sha256(canonical(line_content(line))).digest()


def content_hash(invoice: Invoice) -> str:
    """SHA-256 of the canonical content, the hash of the document before it in its series included."""
    return sha256(canonical(content(invoice))).hexdigest()


def sealed(invoice: Invoice) -> tuple[Invoice, tuple[bytes, ...]]:
    """The document with its `content_hash`, and the `line_digest` of each of its lines."""
    lines = [line_content(line) for line in invoice.lines]
    hash = sha256(canonical(_content(invoice, lines))).hexdigest()
    return replace(invoice, hash=hash), tuple(sha256(canonical(line)).digest() for line in lines)


def canonical(value: Any) -> bytes:
    """The one text of a value that is JSON-ready: keys in order, no spaces, UTF-8."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _period(period: Period) -> list[str]:
    return [instant_text(period.start), instant_text(period.end)]


def due(invoice: Invoice) -> Decimal:
    """What is still owed: total less payments and credit; nothing on a credit note or a draft."""
    if invoice.type != "invoice" or invoice.status != "issued":
        return ZERO
    return invoice.total - invoice.paid - invoice.credited


def is_overdue(invoice: Invoice, today: date) -> bool:
    return invoice.due_date is not None and due(invoice) > 0 and invoice.due_date < today
