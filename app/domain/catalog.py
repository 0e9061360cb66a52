"""What of the catalog is told about, and does not measure or price: the entry that a meter has."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.kept_meters import keep_meter
from app.domain.meters import Meter


@dataclass(frozen=True, slots=True)
class MeterEntry:
    """A meter by its newest revision; what is around its measuring part changes in place.

    `meter.state` is `building` until the newest revision has counted the events that were there before it.
    """

    meter: Meter
    name: str
    unit_code: str
    revision: int


def measures_the_same(first: Meter, second: Meter) -> bool:
    """True when both count the same events in the same way: what a revision fixes is equal."""
    return _measuring_part(first) == _measuring_part(second)


def _measuring_part(meter: Meter) -> tuple[object, ...]:
    # Values of filters and of sessions are compared with their kinds: true is not 1, and "1" is not 1.
    kept = keep_meter(meter) | {"filter": [(f.property, f.operator, repr(f.value)) for f in meter.filters]}
    return meter.event_type, kept | {"sessions": repr(meter.sessions)}
