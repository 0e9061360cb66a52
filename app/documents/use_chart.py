"""What of the period's use can be drawn on a document?

The quantity of each day, as the line froze it when it was computed: a month of charging is 30 bars, the highest the day
with the most. Only what adds up over days is drawn: a sum or a count, never a peak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from app.domain.events import parse_instant
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.kept_meters import read_conversion
from app.domain.meters import convert
from app.domain.money import ZERO, divide
from app.domain.periods import local_date, parse_zone

MOST_CHARTS = 3
_MOST_BARS = 62
_LEAST_BARS = 2


@dataclass(frozen=True, slots=True)
class UseChart:
    """The quantities of the days from `first` to `last`, in order, each day once."""

    line: InvoiceLine
    first: date
    last: date
    quantities: tuple[Decimal, ...]

    @property
    def highest(self) -> Decimal:
        return max(self.quantities)

    @property
    def heights(self) -> tuple[Decimal, ...]:
        """Each bar's share of the highest, between 0 and 1."""
        return tuple(divide(max(item, ZERO), self.highest, scale=4) for item in self.quantities)


def use_charts(invoice: Invoice) -> tuple[UseChart, ...]:
    """Those of the lines that are billed for the first time, one a meter, the largest amounts first."""
    lines = sorted(invoice.lines, key=lambda line: -line.amount)
    found: dict[str, UseChart] = {}
    for line in lines:
        for chart in _chart(line):
            found.setdefault(line.trace["meter"]["key"], chart)
    return tuple(found.values())[:MOST_CHARTS]


def _chart(line: InvoiceLine) -> Iterator[UseChart]:
    trace = line.trace
    kept = trace.get("usage", {}).get("days")
    if line.kind != "charge" or not kept:
        return
    conversion = read_conversion(trace.get("convert"))
    quantities = {date.fromisoformat(day): Decimal(quantity) for day, quantity in kept.items()}
    if conversion is not None:
        quantities = {day: convert(conversion, quantity) for day, quantity in quantities.items()}
    days = _days(line, parse_zone(trace["zone"]))
    if _LEAST_BARS <= len(days) <= _MOST_BARS and max(quantities.values()) > 0:
        yield UseChart(line, days[0], days[-1], tuple(quantities.get(day, ZERO) for day in days))


def _days(line: InvoiceLine, zone: ZoneInfo) -> list[date]:
    """The local days that the line's stretch touches."""
    start, end = (parse_instant(text) for text in line.trace["stretch"])
    first, last = local_date(start, zone), local_date(max(end - timedelta(microseconds=1), start), zone)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def round_for_reading(quantity: Decimal) -> Decimal:
    """The quantity beside a drawing, where two decimals are enough."""
    return quantity.quantize(Decimal("0.01"), ROUND_HALF_UP)
