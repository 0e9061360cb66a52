"""Explanations of lines as the HTTP contract shows them: the facts, and the same in words."""

from __future__ import annotations

from typing import Any

from app.documents.explanation import (
    Speech,
    Statement,
    as_text,
    correction_statements,
    explanation_lines,
    price_statement,
    speech_of,
    stage_statements,
    tax_statement,
)
from app.documents.wording import Language
from app.domain.events import instant_text
from app.domain.explanations import Correction, Explanation, State
from app.domain.money import amount_text, plain
from app.wire.invoices import line_to_wire, period_to_wire, tax_to_wire


def explanation_to_wire(found: Explanation, language: Language) -> dict[str, Any]:
    """The explanation; `text` is all of it for a person to read, in the language."""
    line, trace, speech = found.line, found.line.trace, speech_of(found, language)
    currency = found.invoice.currency
    return {
        "invoice": found.invoice.id, "line": line.id, "kind": line.kind, "language": language,
        "description": line.description, "plan": trace["plan"], "plan_version": trace["version"],
        "charge": trace["terms"]["charges"][0],
        "price": price_statement(found.rated.terms.charge.model, speech).formula,
        "stretch": dict(zip(("start", "end"), trace["stretch"], strict=True)),
        "share_of_period": f"{trace['used']}/{trace['full']}", "proration": found.proration, "meter": trace["meter"],
        "usage": {"quantity": trace["usage"]["total"], "unit": found.measured_unit, "events": trace["usage"]["count"]}
        | _carried(found),
        "steps": [
            {
                "stage": passed.stage, "quantity": plain(passed.after.quantity_to_price),
                "amount": plain(passed.after.amount) if passed.after.components else None,
                "statements": [statement_to_wire(item, speech) for item in stage_statements(passed, speech)],
            }
            for passed in found.passage
        ],
        "components": line_to_wire(line, currency)["components"],
        "allowances": line_to_wire(line, currency)["allowances"],
        "tax": tax_to_wire(line.tax) | {"statement": statement_to_wire(tax_statement(found, speech), speech)},
        "rated": amount_text(found.rated.amount, currency), "amount": amount_text(line.amount, currency),
        "holds": found.holds,
        "use": {
            "window": found.window, "verified": found.use_verified,
            "data": [
                period_to_wire(item.period) | {"quantity": plain(item.quantity), "events": item.events}
                for item in found.use
            ],
        },
        "correction": None if found.correction is None else _correction(found, found.correction, speech),
        "text": explanation_lines(found, language),
    }  # fmt: skip


def statement_to_wire(item: Statement, speech: Speech) -> dict[str, str]:
    return {"title": item.title, "formula": item.formula, "text": as_text(item, speech.language)}


def _carried(found: Explanation) -> dict[str, Any]:
    """What came from before the stretch, where the meter looks back."""
    usage = found.line.trace["usage"]
    if "carried" not in usage:
        return {}
    named = [{"source": item.source, "id": item.id, "time": instant_text(item.at)} for item in found.carried]
    shown = {"carried": {"events": len(usage["carried"]), "first": named}}
    return shown | ({"sessions": usage["sessions"]} if any(usage["sessions"].values()) else {})


def _correction(found: Explanation, correction: Correction, speech: Speech) -> dict[str, Any]:
    currency, document = found.invoice.currency, correction.document
    change = correction.now.amount - correction.before.amount
    return {
        "invoice": document.id, "number": document.number, "line": correction.line.id,
        "before": _state(correction.before, currency), "now": _state(correction.now, currency),
        "difference": amount_text(change, currency), "subscription_ended": correction.ends_earlier,
        "events": [
            {
                "change": item.change, "source": item.source, "id": item.id, "time": instant_text(item.at),
                "quantity": None if item.quantity is None else plain(item.quantity),
            }
            for item in correction.events
        ],
        "has_more_events": correction.has_more,
        "statements": [statement_to_wire(item, speech) for item in correction_statements(found, correction, speech)],
    }  # fmt: skip


def _state(state: State, currency: str) -> dict[str, Any]:
    amount = amount_text(state.amount, currency)
    return {"quantity": plain(state.quantity), "events": state.events, "amount": amount}
