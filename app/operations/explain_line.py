"""A line, stage by stage, down to its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.aggregation import identity_number
from app.domain.events import parse_instant
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.meters import Measured, measure
from app.domain.money import amount_text, plain
from app.domain.periods import Period
from app.operations.rate_period import rate_trace, rated_to_trace
from app.storage import event_store, meter_store
from app.storage.event_store import StoredEvent
from app.storage.invoice_store import StoredInvoice


@dataclass(frozen=True, slots=True)
class LineEvents:
    """The events that a line counted. `verified` is True when their count and identity sum are those frozen with it."""

    events: Sequence[StoredEvent]
    verified: bool


def explain_line(invoice: Invoice, line: InvoiceLine) -> dict[str, Any]:
    """What the line was computed from, step by step, JSON-ready; `holds` is True when its trace still gives its
    result."""
    trace = line.trace
    rated = rated_to_trace(rate_trace(trace))
    text = [f"{line.description}: {plain(line.quantity)} {line.unit}".rstrip()]
    text += [
        f"{stage}: quantity {quantity}" + (f", amount {amount}" if amount else "")
        for stage, quantity, amount in trace["steps"]
    ]
    currency = invoice.currency
    text += [
        f"{item.description}: {plain(item.quantity)} x {plain(item.unit_price)} = {amount_text(item.amount, currency)}"
        for item in line.components
    ]
    text += [f"{item.description}: -{amount_text(item.amount, invoice.currency)}" for item in line.allowances]
    text.append(f"line: {amount_text(line.amount, invoice.currency)} {invoice.currency}")
    return {
        "invoice": invoice.id, "line": line.id, "plan": trace["plan"], "plan_version": trace["version"],
        "charge": trace["terms"]["charges"][0], "stretch": dict(zip(("start", "end"), trace["stretch"], strict=True)),
        "share_of_period": f"{trace['used']}/{trace['full']}", "meter": trace["meter"],
        "usage": {"quantity": trace["usage"]["total"], "events": trace["usage"]["count"]},
        "steps": [
            {"stage": stage, "quantity": quantity, "amount": amount} for stage, quantity, amount in trace["steps"]
        ],
        "rated": amount_text(Decimal(rated["amount"]), currency), "holds": rated == trace["rated"], "text": text,
    }  # fmt: skip


def line_events(connection: Connection, stored: StoredInvoice, line: InvoiceLine) -> LineEvents:
    """The events of the line's stretch that its meter measured, as they were when it froze, by time."""
    trace = line.trace
    if trace["meter"] is None:
        return LineEvents((), True)
    found = meter_store.find(connection, UUID(trace["meter"]["meter_id"]))
    if found is None:
        return LineEvents((), False)
    meter = found[0]
    frozen_at = stored.invoice.issued_at
    stretch = Period(parse_instant(trace["stretch"][0]), parse_instant(trace["stretch"][1]))
    events = [
        item
        for item in event_store.in_window(
            connection, type=meter.event_type, start=stretch.start, end=stretch.end,
            tenant_ids=[stored.place.tenant_id], cancelled_after=frozen_at,
        )
        if (frozen_at is None or item.received_at <= frozen_at) and isinstance(measure(meter, item.event), Measured)
    ]  # fmt: skip
    events.sort(key=lambda item: (item.at, item.event.source, item.event.id))
    usage = trace["usage"]
    sum_now = sum(identity_number(item.identity) for item in events)
    return LineEvents(events, (len(events), sum_now) == (usage["count"], usage["identity_sum"]))
