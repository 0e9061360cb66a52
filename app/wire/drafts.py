"""What people write: the edits of a draft, and invoices of no subscription.

    {"lines": [{"description": "Installation", "quantity": "2", "unit_price": "80.00", "unit": "h", "tax": "standard",
                "period": {"start": "2026-10-01", "end": "2026-10-02"}}],
     "waive": [{"line": "ln_1", "reason": "agreed by phone"}], "note": "..", "purchase_order": "PO-7", "hold": true}

A patch changes the fields that it names; a list is the whole list, and null takes away what was there. A date is the
local midnight in the buyer's zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.drafts import Edits, EditsPatch, WrittenLine
from app.domain.money import MAX_PRICE_DECIMALS
from app.domain.periods import Period, start_of_day
from app.wire.parsing import Fields

MAX_WRITTEN_LINES = 1000
MAX_NOTE = 1000

Moment = date | datetime


@dataclass(frozen=True, slots=True)
class LineWish:
    """A line as somebody wants it; dates become instants once the buyer's zone is known."""

    line: WrittenLine
    period: tuple[Moment, Moment] | None


@dataclass(frozen=True, slots=True)
class InvoiceWish:
    """An invoice as somebody wants it. `seller` is None where the operator is meant, `currency` where the buyer's."""

    buyer: str
    seller: str | None
    currency: str | None
    lines: tuple[LineWish, ...]
    period: tuple[Moment, Moment] | None
    due_date: date | None
    note: str
    purchase_order: str
    reference: str
    issue: bool


def invoice_from_wire(body: Any) -> InvoiceWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    currency = fields.currency("currency") if fields.has("currency") else None
    fields.ignore("currency")
    lines = _lines(fields, required=True)
    if fields.faultless and not lines:
        fields.problem("lines", "an invoice has a line at least")
    wish = InvoiceWish(
        fields.key("buyer"), fields.optional_key("seller"), currency, lines, _period(fields), _day(fields, "due_date"),
        _text(fields, "note"), _text(fields, "purchase_order", 255), _text(fields, "reference", 255),
        fields.boolean("issue"),
    )  # fmt: skip
    fields.finish()
    return wish


def edits_of(wish: InvoiceWish, zone: ZoneInfo) -> Edits:
    """What the wish says of the draft, its dates in the zone."""
    return Edits(
        lines=_in_zone(wish.lines, zone), note=wish.note, purchase_order=wish.purchase_order, reference=wish.reference,
        due_date=wish.due_date,
    )  # fmt: skip


def patch_from_wire(body: Any, zone: ZoneInfo) -> EditsPatch:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    named, lines = set(fields.names()), _lines(fields)
    changes: dict[str, Any] = {
        "note": _text(fields, "note"),
        "purchase_order": _text(fields, "purchase_order", 255), "reference": _text(fields, "reference", 255),
        "hold": fields.boolean("hold"), "hold_reason": _text(fields, "hold_reason"),
        "due_date": _day(fields, "due_date"),
    }  # fmt: skip
    if "hold" not in named and fields.has("hold_reason"):
        fields.problem("hold_reason", "is the reason of a hold: send `hold` with it")
    waive = tuple(
        (item.text("line"), item.text("reason", max_length=MAX_NOTE)) for item in fields.objects("waive")
    )  # fmt: skip
    if len({line for line, _ in waive}) < len(waive):
        fields.problem("waive", "names a line twice")
    fields.finish()
    changes["lines"] = _in_zone(lines, zone)
    return EditsPatch(
        {name: value for name, value in changes.items() if name in named}, waive if "waive" in named else None
    )  # fmt: skip


def approval_from_wire(body: Any) -> str | None:
    """The digest of the content that is approved; None for what the draft says now."""
    fields = Fields(body)
    digest = fields.optional_text("digest")
    fields.finish()
    return digest


def _text(fields: Fields, name: str, max_length: int = MAX_NOTE) -> str:
    return fields.optional_text(name, max_length=max_length) or ""


def _day(fields: Fields, name: str) -> date | None:
    found = fields.day(name) if fields.has(name) else None
    fields.ignore(name)
    return found


def _lines(fields: Fields, *, required: bool = False) -> tuple[LineWish, ...]:
    items = fields.objects("lines", required=required)
    if len(items) > MAX_WRITTEN_LINES:
        fields.problem("lines", f"has more than {MAX_WRITTEN_LINES} items")
        return ()
    return tuple(map(_line, items))


def _line(fields: Fields) -> LineWish:
    quantity = fields.decimal("quantity", default=Decimal(1))
    price = fields.decimal("unit_price")
    if not quantity or abs(quantity) >= Decimal(10) ** 20 or _decimals(quantity) > 18:
        fields.problem("quantity", "a quantity is not 0 and under 10^20, with at most 18 decimals")
    if not 0 <= price < Decimal(10) ** 15 or _decimals(price) > MAX_PRICE_DECIMALS:
        detail = f"a unit price is 0 or more and under 10^15, with at most {MAX_PRICE_DECIMALS} decimals"
        fields.problem("unit_price", f"{detail}: what lowers an amount has a negative quantity")
    line = WrittenLine(
        fields.text("description", max_length=MAX_NOTE), quantity, price,
        fields.optional_text("unit", max_length=50) or "", fields.optional_key("tax") or "",
    )  # fmt: skip
    return LineWish(line, _period(fields))


def _decimals(number: Decimal) -> int:
    return max(0, -int(number.normalize().as_tuple().exponent))


def _period(fields: Fields) -> tuple[Moment, Moment] | None:
    period = fields.object("period")
    if period is None:
        return None
    start, end = period.day_or_instant("start"), period.day_or_instant("end")
    if isinstance(start, datetime) == isinstance(end, datetime) and not start < end:
        period.problem("end", "end must lie after start")
    if isinstance(start, datetime) != isinstance(end, datetime):
        period.problem("end", "start and end are both dates, or both instants")
    return start, end


def period_of(wish: tuple[Moment, Moment] | None, zone: ZoneInfo) -> Period | None:
    """The period, its dates as local midnights."""
    if wish is None:
        return None
    start, end = (one if isinstance(one, datetime) else start_of_day(one, zone) for one in wish)
    return Period(start, end)


def _in_zone(lines: tuple[LineWish, ...], zone: ZoneInfo) -> tuple[WrittenLine, ...]:
    return tuple(
        WrittenLine(
            item.line.description, item.line.quantity, item.line.unit_price, item.line.unit, item.line.tax,
            period_of(item.period, zone),
        )
        for item in lines
    )  # fmt: skip
