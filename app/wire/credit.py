"""Credit grants: the shape of the HTTP contract <-> domain values.

    {"tenant": "acme", "kind": "prepaid", "amount": "100.00", "currency": "EUR", "expires_at": "2027-01-01",
     "description": "Voucher 17"}
    {"tenant": "acme", "kind": "units", "amount": "500", "meter": "energy", "charge": "energy"}

`promotional` lowers the net of invoices before tax, `prepaid` pays their total, `units` lower the quantity of a meter
before it is priced. Without `effective_at` a grant is for whatever is billed after it was made. A date is the local
midnight in the tenant's zone. Answers add what became of the amount: `used`, `left`, `expired`, `voided`, which sum to
it, and `status`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.domain.credit import CREDIT_KINDS, DEFAULT_PRIORITY, CreditKind, Entry, Grant, amount_problem, standing
from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.money import amount_text, plain
from app.wire.parsing import Fields

MAX_PRIORITY = 1000


@dataclass(frozen=True, slots=True)
class GrantWish:
    """A grant as somebody wants it; dates become instants once the tenant's zone is known. `currency` is None where
    the tenant's is meant."""

    tenant: str
    kind: CreditKind
    amount: Decimal
    currency: str | None
    meter: str
    charge: str
    priority: int
    effective_at: date | datetime | None
    expires_at: date | datetime | None
    description: str


def grant_from_wire(body: Any) -> GrantWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    kind = fields.choice("kind", CREDIT_KINDS)
    currency = fields.currency("currency") if fields.has("currency") else None
    fields.ignore("currency")
    priority = fields.optional_integer("priority", least=0, most=MAX_PRIORITY)
    wish = GrantWish(
        fields.key("tenant"), kind, fields.decimal("amount"), currency, fields.optional_key("meter") or "",
        fields.optional_key("charge") or "", DEFAULT_PRIORITY if priority is None else priority,
        fields.optional_day_or_instant("effective_at"), fields.optional_day_or_instant("expires_at"),
        fields.optional_text("description", max_length=1000) or "",
    )  # fmt: skip
    if fields.faultless:
        _check_kind(fields, wish)
    fields.finish()
    return wish


def _check_kind(fields: Fields, wish: GrantWish) -> None:
    if wish.kind == "units":
        if not wish.meter:
            fields.problem("meter", "units are units of a meter: name it")
        if wish.currency is not None:
            fields.problem("currency", "units are no money")
        detail = amount_problem("units", wish.amount, "")
        if detail is not None:
            fields.problem("amount", detail)
        return
    for name, value in (("meter", wish.meter), ("charge", wish.charge)):
        if value:
            fields.problem(name, "credit in money is for no single meter or charge")


def void_from_wire(body: Any) -> str:
    """The reason; '' where none is given."""
    fields = Fields(body)
    reason = fields.optional_text("reason", max_length=1000) or ""
    fields.finish()
    return reason


def application_from_wire(body: Any) -> str | None:
    """The id of the invoice that is to be paid; None for all that are open."""
    fields = Fields(body)
    invoice = fields.optional_text("invoice")
    fields.finish()
    return invoice


def grant_to_wire(grant: Grant, *, tenant: str, voided: Decimal, now: datetime) -> dict[str, Any]:
    where = standing(grant, voided=voided, now=now)
    text = _amount_text(grant)
    shown: dict[str, Any] = {
        "id": public_id("cg", grant.tenant_id, grant.grant_id), "tenant": tenant, "kind": grant.kind,
        "amount": text(grant.amount), "currency": grant.currency or None, "meter": grant.meter or None,
        "charge": grant.charge or None, "priority": grant.priority, "status": grant.status(now),
        "used": text(where.used), "left": text(where.left), "expired": text(where.expired),
        "voided": text(where.voided), "effective_at": _instant(grant.effective_at),
        "expires_at": _instant(grant.expires_at), "description": grant.description,
        "created_at": instant_text(grant.created_at), "voided_at": _instant(grant.voided_at),
        "void_reason": grant.void_reason or None,
    }  # fmt: skip
    return shown


def entry_to_wire(entry: Entry, grant: Grant, numbers: dict[UUID, str]) -> dict[str, Any]:
    """`document` is the issued document that the entry came with, `invoice` the one that it lowered or paid; both null
    for what voids the rest of a grant. `numbers` are those of the documents."""

    def document(own_id: UUID | None) -> dict[str, str] | None:
        if own_id is None:
            return None
        return {"id": public_id("inv", grant.tenant_id, own_id), "number": numbers.get(own_id, "")}

    return {
        "sequence": entry.sequence, "kind": entry.kind, "amount": _amount_text(grant)(entry.amount),
        "document": document(entry.document_id), "invoice": document(entry.invoice_id), "line": entry.line or None,
        "created_at": instant_text(entry.created_at),
    }  # fmt: skip


def _amount_text(grant: Grant) -> Callable[[Decimal], str]:
    if not grant.currency:
        return plain
    return lambda amount: amount_text(amount, grant.currency)


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant_text(instant)
