"""Which fields a meter has beside those of every meter, by its aggregation.

sum, min, max, avg   perhaps `window`: {"aggregation": "max", "per": "hour"} is aggregated first, in each hour apart
percentile           `percentile`: "95", `interval`: "5m", perhaps `interval_aggregation` (`sum`)
unique               perhaps `operation`: a path to `add` or `remove`
time_weighted        perhaps `per` (`hour`)
duration             `session`, `start_value`, `end_value`, perhaps `per` (`hour`) and `longest` (`90d`)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, get_args

from app.domain.intervals import interval_length, parse_length
from app.domain.meters import WITHIN_INTERVALS, Aggregation, Intervals, Meter, Per, Sessions
from app.domain.money import plain
from app.domain.paths import path_steps, read_number
from app.wire.parsing import Fields, NumberText, escaped

PER: tuple[Per, ...] = get_args(Per)
DEFAULT_PER: Per = "hour"
DEFAULT_LONGEST = timedelta(days=90)
MOST_LONGEST = timedelta(days=3660)
MAX_MARKER_LENGTH = 255

NEEDED: dict[Aggregation, tuple[str, ...]] = {
    "percentile": ("percentile", "interval"), "duration": ("session", "start_value", "end_value"),
}  # fmt: skip
OPTIONAL: dict[Aggregation, tuple[str, ...]] = {
    "sum": ("window",), "min": ("window",), "max": ("window",), "avg": ("window",),
    "percentile": ("interval_aggregation",), "unique": ("operation",), "time_weighted": ("per",),
    "duration": ("per", "longest"),
}  # fmt: skip
SPECIAL_FIELDS = tuple(dict.fromkeys(name for names in (*NEEDED.values(), *OPTIONAL.values()) for name in names))
_LARGEST_PERCENTILE = Decimal(100)


@dataclass(frozen=True, slots=True)
class Special:
    """What only some aggregations have."""

    intervals: Intervals | None
    percentile: Decimal | None
    per: Per
    sessions: Sessions | None
    operation: str


def special_from_wire(fields: Fields, aggregation: Aggregation) -> Special:
    own = (*NEEDED.get(aggregation, ()), *OPTIONAL.get(aggregation, ()))
    for name in SPECIAL_FIELDS:
        if name not in own and fields.raw(name) is not None:
            fields.problem(name, f"is nothing that {aggregation} has")
    return Special(
        _intervals(fields, aggregation, own), _percentile(fields) if "percentile" in own else None,
        fields.choice("per", PER, default=DEFAULT_PER) if "per" in own else DEFAULT_PER,
        _sessions(fields) if "session" in own else None,
        path_field(fields, "operation") if "operation" in own and fields.raw("operation") is not None else "",
    )  # fmt: skip


def path_field(fields: Fields, name: str) -> str:
    """A path into an event's data."""
    path = fields.text(name, max_length=500)
    if path:
        try:
            path_steps(path)
        except ValueError as error:
            fields.problem(escaped(name), f"is {error}")
    return path


def _intervals(fields: Fields, aggregation: Aggregation, own: tuple[str, ...]) -> Intervals | None:
    if "interval" in own:
        within = fields.choice("interval_aggregation", WITHIN_INTERVALS, default="sum")
        return Intervals(within, _per(fields, "interval"))
    inner = fields.object("window") if "window" in own else None
    if inner is None:
        return None
    return Intervals(inner.choice("aggregation", WITHIN_INTERVALS), _per(inner, "per"))


def _per(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if text:
        try:
            interval_length(text)
        except ValueError as error:
            fields.problem(name, f"{error}; minute, hour, day, week and month do, too")
            return "hour"
    return text or "hour"


def _percentile(fields: Fields) -> Decimal:
    number = fields.decimal("percentile", default=Decimal(1) if fields.raw("percentile") is None else None)
    if fields.raw("percentile") is None:
        fields.problem("percentile", "is missing")
    elif not 0 < number <= _LARGEST_PERCENTILE:
        fields.problem("percentile", "is above 0 and at most 100")
    return number


def _sessions(fields: Fields) -> Sessions:
    start, end = (_marker(fields, name) for name in ("start_value", "end_value"))
    if start is not None and type(start) is type(end) and start == end:
        fields.problem("end_value", "is the same as start_value")
    return Sessions(path_field(fields, "session"), start, end, _longest(fields))


def _marker(fields: Fields, name: str) -> Any:
    value = fields.raw(name)
    if isinstance(value, NumberText):
        value = str(value)
    if value is None:
        fields.problem(name, "is missing")
    elif isinstance(value, str) and not 0 < len(value) <= MAX_MARKER_LENGTH:
        fields.problem(name, f"has 1 to {MAX_MARKER_LENGTH} characters")
    elif not isinstance(value, str | bool) and read_number(value) is None:
        fields.problem(name, "must be a text, a number, true or false")
    return value


def _longest(fields: Fields) -> timedelta:
    if not fields.has("longest"):
        fields.ignore("longest")
        return DEFAULT_LONGEST
    text = fields.text("longest")
    try:
        length = parse_length(text)
    except ValueError as error:
        if text:
            fields.problem("longest", str(error))
        return DEFAULT_LONGEST
    if length > MOST_LONGEST:
        fields.problem("longest", f"is at most {MOST_LONGEST.days}d")
    return length


def special_to_wire(meter: Meter) -> dict[str, Any]:
    """The fields that the meter's aggregation has, as they are sent."""
    shown: dict[str, Any] = {}
    if meter.intervals is not None and meter.percentile is not None:
        shown |= {"percentile": plain(meter.percentile), "interval": meter.intervals.per}
        shown["interval_aggregation"] = meter.intervals.aggregation
    elif meter.intervals is not None:
        shown["window"] = {"aggregation": meter.intervals.aggregation, "per": meter.intervals.per}
    if "per" in OPTIONAL.get(meter.aggregation, ()):
        shown["per"] = meter.per
    if meter.operation:
        shown["operation"] = meter.operation
    sessions = meter.sessions
    if sessions is not None:
        shown |= {
            "session": sessions.session, "start_value": sessions.start_value, "end_value": sessions.end_value,
            "longest": length_text(sessions.longest),
        }  # fmt: skip
    return shown


def length_text(length: timedelta) -> str:
    """In the largest unit of which it is a whole number: 90d, 36h, 5m."""
    seconds = length // timedelta(seconds=1)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
