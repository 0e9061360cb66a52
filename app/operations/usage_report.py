"""Usage by window and group, as the HTTP contract answers it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import InvalidInput, NotFound
from app.domain.events import parse_json
from app.domain.meters import Meter
from app.domain.periods import Period, Window, window_at, windows_between
from app.operations.read_usage import HOUR, UTC_ZONE, Piece, Use, find_meter, gather, pieces, zones_of
from app.storage import event_store, meter_store, tenant_store
from app.storage.database import Database

MAX_ROWS = 100_000


class BuiltIn(Enum):
    """What use may be grouped by beside the dimensions of its meter."""

    TENANT = "tenant"
    RESOURCE = "resource"
    SUBJECT = "subject"


_BUILT_IN_NAMES = [item.value for item in BuiltIn]
_Group = tuple[str | UUID | None, ...]


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """What is asked for. `tenants` are keys, () for all, and so with `subjects`; `among` names by dimension the values
    that count. `window` None is one row per group for the whole period. A name in `group_by` is a dimension, or else
    what is built in; what is named as built in is so whatever the dimensions are called. What accrues, a level or an
    open session, does so up to `until`."""

    meter: str
    period: Period
    zone: ZoneInfo
    tenants: tuple[str, ...] = ()
    resource: str | None = None
    window: Window | None = None
    group_by: tuple[str | BuiltIn, ...] = ()
    subjects: tuple[str, ...] = ()
    among: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class UsageRow:
    period: Period
    quantity: Decimal
    group: dict[str | BuiltIn, str | None]
    sessions_open: int = 0
    sessions_cut: int = 0


def usage_report(database: Database, query: UsageQuery) -> tuple[Meter, list[UsageRow]]:
    """Rows by window, then group. Raises NotFound, InvalidInput for an unknown dimension, CatchingUp while building."""
    return database.read(lambda connection: _report(connection, query))


def meter_is_ready(database: Database, key: str) -> bool:
    """False while the meter is being built and has no earlier revision that could answer."""
    known = database.read(meter_store.load)
    return any(meter.key == key and meter.state == "active" for meter in known) and not any(
        meter.key == key and meter.state == "building" for meter in known
    )


def first_use_at(database: Database, key: str) -> datetime | None:
    """When the first event happened that the meter could measure; None where there is none. Raises NotFound."""

    def work(connection: Connection) -> datetime | None:
        return event_store.first_time(connection, find_meter(connection, key).event_type)

    return database.read(work)


def _report(connection: Connection, query: UsageQuery) -> tuple[Meter, list[UsageRow]]:
    meter = find_meter(connection, query.meter)
    names = [name for name, _ in meter.dimensions]
    group_names = [name for name in query.group_by if isinstance(name, str)]
    _check_names("group_by", group_names, [*names, *_BUILT_IN_NAMES], meter)
    _check_names("among", query.among, names, meter)
    tenant_ids = [_tenant_id(connection, key) for key in query.tenants] or None
    dimensions = _Dimensions()
    groups = _Groups([name if name in names else BuiltIn(name) for name in query.group_by], dimensions)
    windows, zones = _Windows(query), zones_of(connection, meter, tenant_ids)
    found = pieces(
        connection, meter, query.period, cuts=_cuts(query), tenant_ids=tenant_ids, resource=query.resource,
        from_events=not meter.looks_back and (bool(query.subjects) or BuiltIn.SUBJECT in groups.names), zones=zones,
        until=query.until,
        window_of=windows.of,
    )  # fmt: skip
    wanted = _wanted(connection, found, query, dimensions) if query.subjects or query.among else found
    uses = gather(
        wanted, lambda piece: (windows.of(piece.at), groups.of(piece)), meter=meter, zones=zones, most=MAX_ROWS
    )  # fmt: skip
    if meter.operation and query.window is not None and len(uses) <= MAX_ROWS:
        _carry_on(uses, query)
    if len(uses) > MAX_ROWS:
        raise InvalidInput.at("window", f"the answer would have over {MAX_ROWS} rows; ask for a shorter stretch")
    keys = tenant_store.keys_of(connection, {key for _, group in uses for key in group if isinstance(key, UUID)})
    zone = next(iter(zones.values())) if zones else UTC_ZONE
    rows = [
        _row(meter, query, period, group, use, zone)
        for (period, group), use in _named(uses, keys).items()
        if use.fold.count or use.amount or use.present()
    ]
    rows.sort(key=lambda row: (row.period.start, [(value is not None, value or "") for value in row.group.values()]))
    return meter, rows


def _row(
    meter: Meter, query: UsageQuery, period: Period, group: tuple[str | None, ...], use: Use, zone: ZoneInfo
) -> UsageRow:
    until = query.until
    measured = period if until is None or not period.start < until < period.end else Period(period.start, until)
    return UsageRow(
        period, use.quantity(meter, measured, zone=zone), dict(zip(query.group_by, group, strict=True)),
        use.sessions_open, use.sessions_cut,
    )  # fmt: skip


def _carry_on(uses: dict[tuple[Period, _Group], Use], query: UsageQuery) -> None:
    """Values that were added stay from window to window, until they are removed or nothing more is known."""
    assert query.window is not None
    end = query.period.end if query.until is None else min(query.period.end, query.until)
    if not query.period.start < end:
        return
    for group in {group for _, group in uses}:
        present: frozenset[tuple[UUID, str]] = frozenset()
        for window in windows_between(query.period, query.window, query.zone):
            use = uses.get((window, group))
            if use is None and present and window.start < end:
                use = uses[(window, group)] = Use()
            if use is not None:
                use.present_before = present
                present = use.present()
            if len(uses) > MAX_ROWS:
                return


def _check_names(parameter: str, names: Iterable[str], known: list[str], meter: Meter) -> None:
    for name in names:
        if name not in known:
            raise InvalidInput.at(
                parameter, f"meter {meter.key} has no dimension {name!r}; known are {', '.join(known)}"
            )


def _tenant_id(connection: Connection, key: str) -> UUID:
    tenant = tenant_store.find(connection, key)
    if tenant is None:
        raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return tenant.tenant_id


def _wanted(
    connection: Connection, found: Iterable[Piece], query: UsageQuery, dimensions: _Dimensions
) -> Iterator[Piece]:
    """The pieces of the subjects and dimension values asked for. An event without a subject is its tenant's."""
    own = {tenant.tenant_id for key in query.subjects if (tenant := tenant_store.find(connection, key)) is not None}
    subjects = frozenset(query.subjects)
    for piece in found:
        if subjects and piece.subject not in subjects and (piece.subject or piece.bucket.key.tenant_id not in own):
            continue
        if query.among:
            values = dimensions.of(piece)
            if any(values[name] not in among for name, among in query.among.items()):
                continue
        yield piece


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


class _Dimensions:
    """The dimension values of a piece; each text is read once."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, str | None]] = {}

    def of(self, piece: Piece) -> dict[str, str | None]:
        text = piece.bucket.dimensions
        values = self._read.get(text)
        if values is None:
            values = self._read[text] = parse_json(text)
        return values


class _Groups:
    """The values by which a piece is grouped: of dimensions, its tenant's id, its resource, its subject (the id of its
    tenant where it names none)."""

    def __init__(self, names: Sequence[str | BuiltIn], dimensions: _Dimensions) -> None:
        self.names = names
        self._dimensions = dimensions

    def of(self, piece: Piece) -> _Group:
        if not self.names:
            return ()
        values = self._dimensions.of(piece)
        return tuple(_built_in(name, piece) if isinstance(name, BuiltIn) else values[name] for name in self.names)


def _built_in(name: BuiltIn, piece: Piece) -> str | UUID | None:
    match name:
        case BuiltIn.TENANT:
            return piece.bucket.key.tenant_id
        case BuiltIn.SUBJECT:
            return piece.subject or piece.bucket.key.tenant_id
        case BuiltIn.RESOURCE:
            return piece.bucket.resource or None


def _named(
    uses: Mapping[tuple[Period, _Group], Use], keys: Mapping[UUID, str]
) -> dict[tuple[Period, tuple[str | None, ...]], Use]:
    """The uses by the tenants' keys in place of their ids. A tenant's key may be a subject of events, too."""
    named: dict[tuple[Period, tuple[str | None, ...]], Use] = {}
    for (period, group), use in uses.items():
        names = tuple(keys[value] if isinstance(value, UUID) else value for value in group)
        named.setdefault((period, names), Use()).absorb(use)
    return named
