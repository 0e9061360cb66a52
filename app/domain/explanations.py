"""What is there to say of a line: how its amount came about, by which terms, from what use?

A line of 35.00 for 130 kWh has the way of 130 kWh through the stages of rating; a difference of 12.50 has what stood
billed (30.00 for 100 kWh), what is measured now (42.50 for 150 kWh), and the event of 50 kWh that made the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from app.domain.invoices import Invoice, InvoiceLine
from app.domain.periods import Period
from app.domain.rating.lines import RatedLine
from app.domain.rating.pipeline import Passed

UseWindow = Literal["day", "hour"]


@dataclass(frozen=True, slots=True)
class UseIn:
    """What a line counted in one window: `quantity` is the window's own, which adds up only where the meter's does."""

    period: Period
    quantity: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class State:
    """What a charge came to over a stretch, by the events that were counted then."""

    quantity: Decimal
    events: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class ChangedEvent:
    """An event that came to count, or counts no more. `quantity` is what it adds by itself, None where that is
    nothing that could be said of one event."""

    change: Literal["added", "removed"]
    at: datetime
    source: str
    id: str
    quantity: Decimal | None


@dataclass(frozen=True, slots=True)
class Correction:
    """What a difference or a credit corrects: `document` and `line` billed it last, as `before` says; `events` are the
    first of those that changed it, and `has_more` is True where there are others."""

    document: Invoice
    line: InvoiceLine
    before: State
    now: State
    events: tuple[ChangedEvent, ...]
    has_more: bool
    ends_earlier: bool


@dataclass(frozen=True, slots=True)
class CarriedEvent:
    """An event from before a stretch that has a part in it: the last level, the start of an open session, a reading."""

    at: datetime
    source: str
    id: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A line with the way its trace goes through rating. `holds` is True when that still gives the recorded result;
    `use` lists what was counted by `window`, in the unit that is measured, and `use_verified` says that these are the
    events that were frozen. `carried` are the first of the events before the stretch that have a part in it."""

    invoice: Invoice
    line: InvoiceLine
    measured_unit: str
    proration: str
    rated: RatedLine
    passage: tuple[Passed, ...]
    holds: bool
    state: State
    window: UseWindow
    use: tuple[UseIn, ...]
    use_verified: bool
    carried: tuple[CarriedEvent, ...]
    correction: Correction | None
