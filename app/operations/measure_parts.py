"""The parts in which a charge's use is priced, gathered beside its total: by cell, by rate, or event by event.

Hours in which two rates of a price by time hold are read as events, as the edges of a period are; single amounts are
read as events throughout; everything else comes from buckets.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from zoneinfo import ZoneInfo

from app.domain.charge_models import (
    SINGLE_AMOUNTS,
    AmountsNeeded,
    CellsNeeded,
    Need,
    SlotsNeeded,
    TotalNeeded,
)
from app.domain.charge_models.time_of_use import divided_hours, rate_at
from app.domain.errors import CannotBill
from app.domain.events import parse_json
from app.domain.meters import Meter
from app.domain.periods import Period, hour_floor, window_at
from app.operations.read_usage import UTC_ZONE, Piece, Use


@dataclass(frozen=True, slots=True)
class MeasuredParts:
    """As in `MeasuredUsage`: of the three, the one that the model needs."""

    cells: tuple[tuple[str, Decimal], ...] = ()
    slots: tuple[tuple[int, Decimal], ...] = ()
    amounts: tuple[tuple[Decimal, int], ...] = ()


NO_PARTS = MeasuredParts()
"""Of a model that needs the total only."""


class Parts(ABC):
    """Takes the pieces of a stretch one by one, each with the beginning of its interval where the meter has such.
    `cuts` are instants inside the hours that must be read as events; what accrues is divided by `window_of`."""

    cuts: Sequence[datetime] = ()
    from_events = False
    window_of: Callable[[datetime], Period] | None = None

    @abstractmethod
    def add(self, piece: Piece, interval: datetime | None) -> None: ...

    @abstractmethod
    def measured(self, meter: Meter) -> MeasuredParts: ...


def parts_needed(need: Need, *, meter: Meter, stretch: Period, zone: ZoneInfo) -> Parts:
    """Raises CannotBill where the meter does not measure what the model needs."""
    match need:
        case TotalNeeded():
            return _None()
        case CellsNeeded(dimensions):
            return _Cells(dimensions, stretch, zone)
        case SlotsNeeded():
            return _Slots(need, stretch, zone)
        case AmountsNeeded(in_order):
            if meter.aggregation not in SINGLE_AMOUNTS or meter.intervals is not None:
                raise CannotBill(f"The meter {meter.key} adds up no amounts of single events, which a price needs.")
            return _Amounts(in_order)


class _None(Parts):
    def add(self, piece: Piece, interval: datetime | None) -> None:
        pass

    def measured(self, meter: Meter) -> MeasuredParts:
        return NO_PARTS


class _Cells(Parts):
    def __init__(self, dimensions: tuple[str, ...], stretch: Period, zone: ZoneInfo) -> None:
        self._dimensions = dimensions
        self._stretch, self._zone = stretch, zone
        self._cells: dict[str, str] = {}
        self._uses: dict[str, Use] = {}

    def add(self, piece: Piece, interval: datetime | None) -> None:
        text = piece.bucket.dimensions
        cell = self._cells.get(text)
        if cell is None:
            cell = self._cells[text] = cell_of(text, self._dimensions)
        self._uses.setdefault(cell, Use()).add(piece, interval)

    def measured(self, meter: Meter) -> MeasuredParts:
        return MeasuredParts(
            cells=tuple(
                (cell, self._uses[cell].quantity(meter, self._stretch, zone=self._zone)) for cell in sorted(self._uses)
            )
        )


def cell_of(dimensions: str, names: Sequence[str]) -> str:
    """Of all dimensions of some use the named ones only, as canonical JSON; a missing one is null."""
    values = parse_json(dimensions)
    return json.dumps({name: values.get(name) for name in names}, ensure_ascii=False, separators=(",", ":"))


class _Slots(Parts):
    def __init__(self, need: SlotsNeeded, stretch: Period, zone: ZoneInfo) -> None:
        self._model, self._stretch, self._zone = need.model, stretch, zone
        divided = frozenset(divided_hours(need.model, stretch, zone))
        self.window_of = lambda at: window_at(at, "minute" if hour_floor(at) in divided else "hour", UTC_ZONE)
        # Any instant inside of an hour divides it: each of its events then counts by its own time.
        self.cuts = [hour.replace(minute=30) for hour in sorted(divided)]
        self._rates: dict[datetime, int] = {}
        self._uses: dict[int, Use] = {}

    def add(self, piece: Piece, interval: datetime | None) -> None:
        rate = self._rates.get(piece.at)
        if rate is None:
            rate = self._rates[piece.at] = rate_at(self._model, piece.at, self._zone)
        self._uses.setdefault(rate, Use()).add(piece, interval)

    def measured(self, meter: Meter) -> MeasuredParts:
        return MeasuredParts(
            slots=tuple(
                (rate, self._uses[rate].quantity(meter, self._stretch, zone=self._zone)) for rate in sorted(self._uses)
            )
        )


class _Amounts(Parts):
    from_events = True

    def __init__(self, in_order: bool) -> None:
        self._in_order = in_order
        self._ordered: list[tuple[datetime, tuple[str, str], Decimal]] = []
        self._counted: Counter[Decimal] = Counter()

    def add(self, piece: Piece, interval: datetime | None) -> None:
        fold = piece.bucket.fold
        amount = Decimal(fold.count) if fold.sum is None else fold.sum
        if self._in_order:
            self._ordered.append((piece.at, piece.name, amount))
        else:
            self._counted[amount] += 1

    def measured(self, meter: Meter) -> MeasuredParts:
        if not self._in_order:
            return MeasuredParts(amounts=tuple(sorted(self._counted.items())))
        amounts = (amount for _, _, amount in sorted(self._ordered))
        return MeasuredParts(amounts=tuple((amount, len(list(run))) for amount, run in groupby(amounts)))
