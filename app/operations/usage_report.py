"""Usage by window and group, as the HTTP contract answers it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import CatchingUp, InvalidInput, NotFound
from app.domain.events import parse_json
from app.domain.meters import Meter
from app.domain.periods import Period, Window, window_at, windows_between
from app.operations.read_usage import HOUR, Piece, gather, pieces
from app.storage import meter_store, tenant_store
from app.storage.database import Database

MAX_ROWS = 100_000
_BUILT_IN_GROUPS = ("tenant", "resource")


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked for. `tenant` is a key or None for all; `window` None is one row per group for the whole period."""

    meter: str
    period: Period
    zone: ZoneInfo
    tenant: str | None = None
    resource: str | None = None
    window: Window | None = None
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UsageRow:
    period: Period
    quantity: Decimal
    group: dict[str, str | None]


def usage_report(database: Database, query: UsageQuery) -> tuple[Meter, list[UsageRow]]:
    """Rows by window, then group. Raises NotFound, InvalidInput for an unknown dimension, CatchingUp while building."""
    return database.read(lambda connection: _report(connection, query))


def meter_is_ready(database: Database, key: str) -> bool:
    """False while the meter is being built and has no earlier revision that could answer."""
    known = database.read(meter_store.load)
    return any(meter.key == key and meter.state == "active" for meter in known) and not any(
        meter.key == key and meter.state == "building" for meter in known
    )


def find_meter(connection: Connection, key: str) -> Meter:
    """The meter as it answers reads now."""
    known = [meter for meter in meter_store.load(connection) if meter.key == key]
    if not known:
        raise NotFound(f"There is no meter {key!r}.", meter=key)
    active = [meter for meter in known if meter.state == "active"]
    if not active:
        raise CatchingUp(f"The meter {key} is still being built; try again in a moment.")
    return active[0]


def _report(connection: Connection, query: UsageQuery) -> tuple[Meter, list[UsageRow]]:
    meter = find_meter(connection, query.meter)
    names = [name for name, _ in meter.dimensions]
    for name in query.group_by:
        if name not in names and name not in _BUILT_IN_GROUPS:
            known = ", ".join([*names, *_BUILT_IN_GROUPS])
            raise InvalidInput.at("group_by", f"meter {meter.key} has no dimension {name!r}; known are {known}")
    tenant_ids = None if query.tenant is None else [_tenant_id(connection, query.tenant)]
    found = pieces(connection, meter, query.period, cuts=_cuts(query), tenant_ids=tenant_ids, resource=query.resource)
    windows = _Windows(query)
    groups = _Groups(query.group_by, names)
    uses = gather(found, lambda piece: (windows.of(piece.at), groups.of(piece)))
    if len(uses) > MAX_ROWS:
        raise InvalidInput.at("window", f"the answer would have over {MAX_ROWS} rows; ask for a shorter stretch")
    keys = tenant_store.keys_of(connection, {key for _, group in uses for key in group if isinstance(key, UUID)})
    rows = [
        UsageRow(period, use.quantity(meter), _named(query.group_by, group, keys))
        for (period, group), use in uses.items()
    ]
    rows.sort(key=lambda row: (row.period.start, [(value is not None, value or "") for value in row.group.values()]))
    return meter, rows


def _tenant_id(connection: Connection, key: str) -> UUID:
    tenant = tenant_store.find(connection, key)
    if tenant is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return tenant.tenant_id


def _cuts(query: UsageQuery) -> Iterable[datetime]:
    """The window boundaries that may fall inside an hour of UTC: only where the zone's offset is no whole hour."""
    if query.window is None:
        return
    if query.window == "minute":
        # Every hour is divided: each event counts by itself.
        yield from _hours(query.period)
        return
    for window in windows_between(query.period, query.window, query.zone):
        yield window.end


def _hours(period: Period) -> Iterable[datetime]:
    at = period.start.replace(minute=30, second=0, microsecond=0)
    while at < period.end + HOUR:
        yield at
        at += HOUR


class _Windows:
    """The window of an instant, clipped to the period asked for; remembers the last one."""

    def __init__(self, query: UsageQuery) -> None:
        self._query = query
        self._last: Period | None = None

    def of(self, at: datetime) -> Period:
        query = self._query
        if query.window is None:
            return query.period
        last = self._last
        if last is not None and last.start <= at < last.end:
            return last
        window = window_at(at, query.window, query.zone)
        clipped = Period(max(window.start, query.period.start), min(window.end, query.period.end))
        self._last = clipped
        return clipped


class _Groups:
    """The values by which a piece is grouped: of dimensions, its tenant's id, its resource."""

    def __init__(self, names: tuple[str, ...], dimensions: list[str]) -> None:
        self._names = names
        self._dimensions = dimensions
        self._read: dict[str, Any] = {}

    def of(self, piece: Piece) -> tuple[Any, ...]:
        if not self._names:
            return ()
        text = piece.bucket.dimensions
        values = self._read.get(text)
        if values is None:
            values = self._read[text] = parse_json(text)
        return tuple(self._value(name, values, piece) for name in self._names)

    def _value(self, name: str, values: dict[str, str | None], piece: Piece) -> Any:
        if name in self._dimensions:
            return values[name]
        return piece.bucket.key.tenant_id if name == "tenant" else piece.bucket.resource or None


def _named(names: tuple[str, ...], group: tuple[Any, ...], keys: dict[UUID, str]) -> dict[str, str | None]:
    return {name: keys[value] if isinstance(value, UUID) else value for name, value in zip(names, group, strict=True)}
