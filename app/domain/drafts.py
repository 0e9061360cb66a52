"""What has a person done to a draft, and may it be issued?

Edits are kept beside the draft, so that computing it again keeps them: lines that were written (each quantity x unit
price), lines that were waived, a note, an order number, a hold. A line is waived by what it bills and not by its place:
waived use of October stays waived however many kWh come late, and whichever line of the draft it then is.

An approval is for one content: a draft that is computed again to other content is not approved.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from app.domain.charge_models.components import component
from app.domain.errors import FieldProblem, InvalidInput
from app.domain.events import instant_text, parse_instant
from app.domain.invoices import Invoice, InvoiceLine, Remarks, content_hash
from app.domain.money import plain
from app.domain.periods import Period
from app.domain.rating.lines import Allowance
from app.domain.tax import TaxRate

WAIVED = "waived: "
"""How the description of what was waived begins; the reason follows."""


@dataclass(frozen=True, slots=True)
class WrittenLine:
    """A line that a person writes: quantity x unit price, before tax. `tax` names a rate ('': the seller's default);
    without a period it is for that of the document."""

    description: str
    quantity: Decimal
    unit_price: Decimal
    unit: str = ""
    tax: str = ""
    period: Period | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A line that is not to be paid: `bills` says which, by what it bills."""

    bills: str
    reason: str


@dataclass(frozen=True, slots=True)
class Edits:
    """All that a person did to a draft. While it is on hold it is not issued; `hold_reason` says why."""

    lines: tuple[WrittenLine, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    note: str = ""
    purchase_order: str = ""
    reference: str = ""
    hold: bool = False
    hold_reason: str = ""
    due_date: date | None = None


NO_EDITS = Edits()


def bills(line: InvoiceLine) -> str:
    """What a rated line bills, as a name that stays when it is computed again."""
    meter = line.trace["meter"]
    parts = [line.subscription, line.charge, instant_text(line.period.start), line.kind, line.trace.get("since", "")]
    return " ".join([*parts, "" if meter is None else meter["key"]])


def written(line: WrittenLine, *, tax: TaxRate, currency: str, period: Period, subscription: str) -> InvoiceLine:
    """The line as it stands on the document."""
    part = component("unit", line.quantity, line.unit_price, currency)
    return InvoiceLine(
        id="", charge="", description=line.description, period=line.period or period, quantity=line.quantity,
        unit=line.unit, amount=part.amount, tax=tax, components=(part,), kind="one_off", subscription=subscription,
    )  # fmt: skip


def waived(lines: Sequence[InvoiceLine], waivers: Sequence[Waiver]) -> list[InvoiceLine]:
    """The lines; of those that are waived, nothing is left to be paid. What they bill counts as billed all the same."""
    reasons = {item.bills: item.reason for item in waivers}
    return [_waived(line, reasons[bills(line)]) if line.is_rated and bills(line) in reasons else line for line in lines]


def _waived(line: InvoiceLine, reason: str) -> InvoiceLine:
    trace = line.trace | {"waived": {"amount": plain(line.amount), "reason": reason}}
    taken_off = Allowance(f"{WAIVED}{reason}", line.amount)
    return replace(line, amount=line.amount - line.amount, allowances=(*line.allowances, taken_off), trace=trace)


def edited(invoice: Invoice, edits: Edits) -> Invoice:
    """The draft with what was written on it as a whole."""
    remarks = Remarks(invoice.remarks.reason, edits.reference, edits.note)
    order = edits.purchase_order or invoice.purchase_order
    return replace(invoice, remarks=remarks, purchase_order=order, due_date=edits.due_date)


def content_of(draft: Invoice) -> str:
    """The SHA-256 of what the draft says now: an approval names it."""
    return content_hash(draft)


@dataclass(frozen=True, slots=True)
class EditsPatch:
    """What of the edits changes: the fields that are named, each whole. `waive` are lines by their ids, with reasons;
    None leaves what is waived as it is."""

    changes: dict[str, Any]
    waive: tuple[tuple[str, str], ...] | None = None

    @property
    def concerns_lines(self) -> bool:
        return "lines" in self.changes or self.waive is not None


def patched(edits: Edits, patch: EditsPatch, draft: Invoice) -> Edits:
    """The edits as the patch leaves them. Raises InvalidInput for a line that the draft has not, or that nothing
    rated."""
    made = replace(edits, **patch.changes)
    if not made.hold:
        made = replace(made, hold_reason="")
    if patch.waive is None:
        return made
    lines = {line.id: line for line in draft.lines}
    waivers: list[Waiver] = []
    problems: list[FieldProblem] = []
    for index, (id, reason) in enumerate(patch.waive):
        line = lines.get(id)
        if line is None:
            problems.append(FieldProblem(f"#/waive/{index}/line", f"this draft has no line {id!r}"))
        elif not line.is_rated:
            problems.append(FieldProblem(f"#/waive/{index}/line", "a line that was written is taken away, not waived"))
        else:
            waivers.append(Waiver(bills(line), reason))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    return replace(made, waivers=tuple(waivers))


Withheld = Literal["held", "not_approved"]
"""Why a draft is not issued."""


def withheld_by(draft: Invoice, edits: Edits, *, approved: str, needs_approval: bool) -> Withheld | None:
    """Why the draft must not be issued; None where it may. `approved` is the content that somebody approved."""
    if edits.hold:
        return "held"
    return "not_approved" if needs_approval and content_of(draft) != approved else None


# --- as text ----------------------------------------------------------------------------------------------------------


def keep_edits(edits: Edits) -> str:
    """As JSON, absent parts left out."""
    kept: dict[str, Any] = {
        "lines": [_keep_line(line) for line in edits.lines],
        "waivers": [[item.bills, item.reason] for item in edits.waivers],
        "note": edits.note, "purchase_order": edits.purchase_order, "reference": edits.reference, "hold": edits.hold,
        "hold_reason": edits.hold_reason,
        "due_date": edits.due_date and edits.due_date.isoformat(),
    }  # fmt: skip
    return json.dumps({name: value for name, value in kept.items() if value}, ensure_ascii=False)


def _keep_line(line: WrittenLine) -> dict[str, Any]:
    kept: dict[str, Any] = {
        "description": line.description, "quantity": plain(line.quantity), "unit_price": plain(line.unit_price),
        "unit": line.unit, "tax": line.tax,
    }  # fmt: skip
    if line.period is not None:
        kept["period"] = [instant_text(line.period.start), instant_text(line.period.end)]
    return kept


def read_edits(text: str) -> Edits:
    """What `keep_edits` kept."""
    kept = json.loads(text)
    due_date = kept.get("due_date")
    return Edits(
        tuple(_read_line(item) for item in kept.get("lines", ())),
        tuple(Waiver(*item) for item in kept.get("waivers", ())), kept.get("note", ""), kept.get("purchase_order", ""),
        kept.get("reference", ""), kept.get("hold", False), kept.get("hold_reason", ""),
        date.fromisoformat(due_date) if due_date else None,
    )  # fmt: skip


def _read_line(kept: dict[str, Any]) -> WrittenLine:
    period = kept.get("period")
    return WrittenLine(
        kept["description"], Decimal(kept["quantity"]), Decimal(kept["unit_price"]), kept["unit"], kept["tax"],
        Period(*map(parse_instant, period)) if period else None,
    )  # fmt: skip
