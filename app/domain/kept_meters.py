"""The form in which a meter's measuring part is kept: one revision is one JSON object.

The names are those of the HTTP contract; what a meter does not state is not there. Reading it back trusts it; what
comes from outside goes through `app/wire/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.domain.meters import Conversion, Filter, Intervals, Meter, Rounding, Sessions
from app.domain.money import plain


def keep_meter(meter: Meter) -> dict[str, Any]:
    """What a revision fixes, but for its event type, which has a place of its own."""
    kept = {
        "aggregation": meter.aggregation, "property": meter.property, "dimensions": dict(meter.dimensions),
        "filter": [{"property": f.property, "operator": f.operator, "value": f.value} for f in meter.filters],
        "rounding": keep_rounding(meter.rounding),
    }  # fmt: skip
    sessions = meter.sessions
    stated = {
        "expression": meter.expression, "convert": keep_conversion(meter.conversion), "operation": meter.operation,
        "window": None if meter.intervals is None else [meter.intervals.aggregation, meter.intervals.per],
        "percentile": None if meter.percentile is None else plain(meter.percentile),
        "per": meter.per if meter.aggregation in ("time_weighted", "duration") else "",
        "sessions": None if sessions is None else {
            "session": sessions.session, "start_value": sessions.start_value, "end_value": sessions.end_value,
            "longest_seconds": sessions.longest // timedelta(seconds=1),
        },
    }  # fmt: skip
    return kept | {name: value for name, value in stated.items() if value}


def read_meter(kept: Mapping[str, Any], *, key: str, meter_id: UUID, event_type: str, unit: str, **state: Any) -> Meter:
    """The revision of a kept part; `state` is its state, and whether it is the newest."""
    return Meter(
        key=key, meter_id=meter_id, event_type=event_type, aggregation=kept["aggregation"],
        property=kept.get("property") or "", dimensions=tuple(sorted((kept.get("dimensions") or {}).items())),
        filters=tuple(Filter(f["property"], f["operator"], f["value"]) for f in kept.get("filter") or ()),
        rounding=read_rounding(kept.get("rounding")), unit=unit, expression=kept.get("expression", ""),
        conversion=read_conversion(kept.get("convert")), operation=kept.get("operation", ""),
        intervals=Intervals(*kept["window"]) if "window" in kept else None,
        percentile=Decimal(kept["percentile"]) if "percentile" in kept else None, per=kept.get("per", "hour"),
        sessions=_read_sessions(kept.get("sessions")), **state,
    )  # fmt: skip


def _read_sessions(kept: Mapping[str, Any] | None) -> Sessions | None:
    if kept is None:
        return None
    longest = timedelta(seconds=int(kept["longest_seconds"]))
    return Sessions(kept["session"], kept["start_value"], kept["end_value"], longest)


def keep_rounding(rounding: Rounding | None) -> dict[str, Any] | None:
    return None if rounding is None else {"mode": rounding.mode, "scale": rounding.scale}


def read_rounding(kept: Mapping[str, Any] | None) -> Rounding | None:
    return None if kept is None else Rounding(kept["mode"], int(kept["scale"]))


def keep_conversion(conversion: Conversion | None) -> dict[str, Any] | None:
    """{"divide_by": "1073741824", "unit": "GiB"}"""
    return None if conversion is None else {conversion.operation: plain(conversion.factor), "unit": conversion.unit}


def read_conversion(kept: Mapping[str, Any] | None) -> Conversion | None:
    if kept is None:
        return None
    operation: Any = "divide_by" if "divide_by" in kept else "multiply_by"
    return Conversion(operation, Decimal(kept[operation]), kept["unit"])
