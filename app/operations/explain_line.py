"""A line, stage by stage, down to its events: what it was computed from, in what order, and what changed it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import astuple
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.aggregation import MERGES
from app.domain.errors import Conflict
from app.domain.events import parse_instant
from app.domain.explanations import CarriedEvent, ChangedEvent, Correction, Explanation, State, UseIn, UseWindow
from app.domain.invoices import InvoiceLine
from app.domain.meters import Meter
from app.domain.periods import Period, windows_between
from app.domain.rating.pipeline import passage, rate
from app.operations.billed_charges import billed_before
from app.operations.frozen_use import Frozen, FrozenUse, frozen_of
from app.operations.list_line_events import LineEvent, line_events
from app.operations.rate_period import rated_to_trace, read_trace, result_of
from app.operations.read_usage import Use, Zones, contribution_of, interval_of
from app.storage import event_store, invoice_store, meter_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice

MOST_EVENTS_NAMED = 20
"""How many of the events that changed a line, or were carried over to it, an explanation names; the list of its events
has all that changed it."""


def explain_line(
    database: Database, stored: StoredInvoice, line: InvoiceLine, *, window: UseWindow = "day"
) -> Explanation:
    """All there is to say of the line."""
    return database.read(lambda connection: _explanation(connection, stored, line, window))


def explain_lines(database: Database, stored: StoredInvoice, *, window: UseWindow = "day") -> list[Explanation | None]:
    """The same of every line of the document, in order; None of one that a person wrote."""

    def work(connection: Connection) -> list[Explanation | None]:
        return [
            _explanation(connection, stored, line, window) if line.is_rated else None for line in stored.invoice.lines
        ]

    return database.read(work)


def _explanation(connection: Connection, stored: StoredInvoice, line: InvoiceLine, window: UseWindow) -> Explanation:
    if not line.is_rated:
        raise Conflict("A person wrote this line: it says all that there is to say of it.", line=line.id)
    terms, usage, proration = read_trace(line.trace)
    rated = rate(terms, usage)
    use, verified = _use_by_window(connection, stored, line, window)
    return Explanation(
        stored.invoice, line, _measured_unit(connection, line), proration, rated, tuple(passage(terms, usage)),
        rated_to_trace(rated) == line.trace["rated"], _state(line.trace), window, use, verified,
        _carried(connection, stored, line),
        None if line.kind == "charge" or "credits" in line.trace else _correction(connection, stored, line),
    )  # fmt: skip


def _carried(connection: Connection, stored: StoredInvoice, line: InvoiceLine) -> tuple[CarriedEvent, ...]:
    names = [bytes.fromhex(name) for name in line.trace["usage"].get("carried", ())[:MOST_EVENTS_NAMED]]
    found = event_store.find(connection, [(stored.place.tenant_id, name) for name in names])
    return tuple(sorted((CarriedEvent(item.at, item.event.source, item.event.id) for item in found), key=astuple))


def _measured_unit(connection: Connection, line: InvoiceLine) -> str:
    meter = line.trace["meter"]
    found = None if meter is None else meter_store.find(connection, UUID(meter["meter_id"]))
    return line.unit if found is None else found[0].unit


def _state(trace: Mapping[str, Any]) -> State:
    result = result_of(trace)
    return State(result.quantity, trace["usage"]["count"], result.amount)


# --- the use that was counted ----------------------------------------------------------------------------------------


def _use_by_window(
    connection: Connection, stored: StoredInvoice, line: InvoiceLine, window: UseWindow
) -> tuple[tuple[UseIn, ...], bool]:
    """What the line counted in each window of its stretch, in the document's time zone, where there was any."""
    frozen = frozen_of(connection, stored, line)
    if frozen is None:
        return (), line.trace["meter"] is None
    if frozen.stretch is None:
        return (), True
    counted = FrozenUse(connection, frozen)
    windows = list(windows_between(frozen.stretch, window, ZoneInfo(stored.invoice.time_zone)))
    uses = _gathered(counted, windows, {frozen.tenant_id: frozen.zone})
    rows = tuple(
        UseIn(period, use.quantity(frozen.meter, period, zone=frozen.zone), use.fold.count)
        for period, use in zip(windows, uses, strict=True)
        if use.fold.count or use.amount or use.present()
    )
    return rows, counted.verified(frozen.stretch.start, frozen.stretch.end)


def _gathered(counted: FrozenUse, windows: list[Period], zones: Zones) -> list[Use]:
    starts = [item.start for item in windows]
    uses = [Use() for _ in windows]
    for piece in counted.pieces(set(starts)):
        uses[bisect_right(starts, piece.at) - 1].add(piece, interval_of(counted.frozen.meter, piece, zones))
    if counted.frozen.meter.operation:
        for before, use in pairwise(uses):
            use.present_before = before.present()
    return uses


# --- what a correction changed ---------------------------------------------------------------------------------------


def _correction(connection: Connection, stored: StoredInvoice, line: InvoiceLine) -> Correction | None:
    issued = invoice_store.issued_beside(connection, stored.place, line)
    billed = billed_before(issued, stored, line)
    if billed is None:
        return None
    document, before = billed
    page = line_events(connection, stored, line, after=None, limit=MOST_EVENTS_NAMED)
    frozen = frozen_of(connection, stored, line)
    named = () if frozen is None else tuple(_changed(frozen, row) for row in page.rows)
    ends = [parse_instant(item.trace["stretch"][1]) for item in (before, line)]
    return Correction(
        document.invoice, before, _state(before.trace), _state(line.trace), named, page.next is not None,
        ends[1] < ends[0],
    )  # fmt: skip


def _changed(frozen: Frozen, row: LineEvent) -> ChangedEvent:
    assert row.change is not None
    event = row.stored.event
    return ChangedEvent(row.change, row.stored.at, event.source, event.id, _quantity_of_one(frozen.meter, row))


def _quantity_of_one(meter: Meter, row: LineEvent) -> Decimal | None:
    """What the event adds by itself."""
    bucket = contribution_of(meter, row.stored)
    if bucket is None or meter.aggregation not in MERGES or meter.intervals is not None:
        return None
    return Use(bucket.fold).quantity(meter)
