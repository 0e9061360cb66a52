"""The shapes of OpenMeter's interface <-> domain values. A customer of theirs is a tenant, a subject is an event's.

    {"from": "2026-10-01T00:00:00Z", "windowSize": "DAY", "groupBy": ["station"], "filterGroupBy": {"site": ["north"]}}

Their values are JSON numbers: they are written digit by digit, as exact as the texts of our own interface.
"""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from app.domain.catalog import MeterEntry
from app.domain.errors import InvalidInput
from app.domain.events import UsageEvent, instant_text
from app.domain.meters import Aggregation
from app.domain.money import plain
from app.domain.periods import Period, Window
from app.wire.events import event_to_wire
from app.wire.parsing import Fields

WINDOW_SIZES: dict[str, Window] = {"MINUTE": "minute", "HOUR": "hour", "DAY": "day", "MONTH": "month"}
SUBJECT, CUSTOMER = "subject", "customer_id"
"""What beside a meter's dimensions use may be grouped by."""

# What they have no word for is named by how its windows become one: they add up. A percentile has no such word.
AGGREGATIONS: dict[Aggregation, str] = {
    "sum": "SUM", "count": "COUNT", "unique": "UNIQUE_COUNT", "min": "MIN", "max": "MAX", "last": "LATEST",
    "avg": "AVG", "time_weighted": "SUM", "duration": "SUM", "counter": "SUM",
}  # fmt: skip
_MAX_LITERAL = 1000


@dataclass(frozen=True, slots=True)
class MeterQuestion:
    """What a query of a meter asks. Empty lists mean any."""

    start: datetime | None
    end: datetime | None
    window_size: str | None
    zone: str | None
    subjects: tuple[str, ...]
    customers: tuple[str, ...]
    group_by: tuple[str, ...]
    among: Mapping[str, tuple[str, ...]]

    @property
    def groups(self) -> tuple[str, ...]:
        """What is grouped by: what is asked for, and what is filtered by subject or customer."""
        implied = ([SUBJECT] if self.subjects else []) + ([CUSTOMER] if self.customers else [])
        return tuple(dict.fromkeys([*self.group_by, *implied]))


def question_from_wire(body: Any) -> MeterQuestion:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    fields.optional_text("clientId")
    size = fields.choice("windowSize", tuple(WINDOW_SIZES)) if fields.has("windowSize") else None
    fields.ignore("windowSize")
    among = fields.object("filterGroupBy")
    question = MeterQuestion(
        fields.optional_instant("from"), fields.optional_instant("to"), size, fields.optional_text("windowTimeZone"),
        _texts(fields, "subject"), _texts(fields, "filterCustomerId"), _texts(fields, "groupBy"),
        {} if among is None else {name: _texts(among, name) for name in among.names()},
    )  # fmt: skip
    fields.finish()
    return question


def _texts(fields: Fields, name: str) -> tuple[str, ...]:
    items = fields.items(name)
    for index, item in enumerate(items):
        if not isinstance(item, str):
            fields.problem(f"{name}/{index}", "must be text")
    return tuple(item for item in items if isinstance(item, str))


def python_literal(text: str) -> dict[str, tuple[str, ...]]:
    """The filters of a `filterGroupBy` as their client for Python writes it: {'station': '12'}. Raises InvalidInput."""
    try:
        value = ast.literal_eval(text) if len(text) <= _MAX_LITERAL else None
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if not isinstance(value, dict) or not all(isinstance(item, str) for pair in value.items() for item in pair):
        raise InvalidInput.at("filterGroupBy", "filterGroupBy: write filterGroupBy[dimension]=value")
    return {name: (item,) for name, item in value.items()}


# --- answers ---------------------------------------------------------------------------------------------------------

Row = tuple[Period, Decimal, Mapping[str, str | None]]
"""A window, its quantity, and the values that it is grouped by, under the names of the question."""


def result_to_wire(question: MeterQuestion, rows: Sequence[Row]) -> dict[str, Any]:
    told = {
        "from": question.start and instant_text(question.start), "to": question.end and instant_text(question.end),
        "windowSize": question.window_size,
    }  # fmt: skip
    shown = {name: value for name, value in told.items() if value is not None}
    return shown | {"data": [_row(*row) for row in rows]}


def _row(period: Period, quantity: Decimal, group: Mapping[str, str | None]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "value": msgspec.Raw(plain(quantity).encode()), "windowStart": instant_text(period.start),
        "windowEnd": instant_text(period.end), "subject": group.get(SUBJECT),
        "groupBy": {name: value for name, value in group.items() if name not in (SUBJECT, CUSTOMER)},
    }  # fmt: skip
    return row | ({"customerId": group[CUSTOMER]} if CUSTOMER in group else {})


def result_to_csv(question: MeterQuestion, rows: Sequence[Row]) -> str:
    """RFC 4180 with a header row: the window, the subject, then what it is grouped by, then the value."""
    names = [SUBJECT, *(name for name in question.groups if name != SUBJECT)]
    output = io.StringIO(newline="")
    writer = csv.writer(output, lineterminator="\r\n")
    writer.writerow(["window_start", "window_end", *names, "value"])
    for period, quantity, group in rows:
        values = [group.get(name) or "" for name in names]
        writer.writerow([instant_text(period.start), instant_text(period.end), *values, plain(quantity)])
    return output.getvalue()


def meter_to_openmeter(entry: MeterEntry, *, created_at: datetime, updated_at: datetime) -> dict[str, Any]:
    """Its key is id and slug alike."""
    meter = entry.meter
    shown: dict[str, Any] = {
        "id": meter.key, "slug": meter.key, "name": entry.name or meter.key,
        "aggregation": AGGREGATIONS[meter.aggregation], "eventType": meter.event_type,
        "createdAt": instant_text(created_at), "updatedAt": instant_text(updated_at),
    }  # fmt: skip
    if meter.property:
        shown["valueProperty"] = meter.property
    if meter.dimensions:
        shown["groupBy"] = dict(meter.dimensions)
    return shown


def ingested_to_wire(
    event: UsageEvent, *, at: datetime, received_at: datetime, tenant: str | None, fault: str
) -> dict[str, Any]:
    """An event as it was sent, with what they always name: a time, and a subject."""
    named = {"time": instant_text(at), "subject": event.subject or tenant or ""}
    shown: dict[str, Any] = {"event": named | event_to_wire(event)}
    if tenant is not None:
        shown["customerId"] = tenant
    if fault:
        shown["validationError"] = fault
    # Kept and counted in the transaction that it was acknowledged by.
    return shown | {"ingestedAt": instant_text(received_at), "storedAt": instant_text(received_at)}
