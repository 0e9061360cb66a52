"""Kept events as lists show them: by (tenant, time, identity), filtered by whatever is asked for.

There is no index for every filter, for each would be paid for with every event. Of one tenant and type the rows lie in
the order of the list; a page merges the types that a tenant has, and goes through the tenants that have any:

    all of acme's: merge (acme, charging), (acme, parking)      all charging: (acme, charging), then (zeta, charging)

A resource is in no index: it is looked for among a bounded number of events. A page may therefore hold fewer rows than
it could, even none, and still say where the next one goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.storage import event_store
from app.storage.event_store import StoredEvent
from app.storage.planning import plan_for_values
from app.storage.tables import events, meter_revisions, tenants
from app.storage.types import Instant, Name16

Place = tuple[UUID, datetime, bytes]
"""(tenant_id, time, identity): where an event stands in a list."""

_Row = sa.Row[datetime, bytes, str | None]

_MOST_EVENTS = 2_000
"""What one page looks at."""
_TENANT_IN_EVENTS = 50
"""What it costs to ask for one more tenant's, in events looked at."""
_FIRST_TENANTS, _MOST_TENANTS = 8, 4096
_MOST_TYPES = 100
"""What one statement merges: SQLite takes no more than 500 parts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a list holds; None means any. [start, end) is of their times."""

    tenant_id: UUID | None = None
    type: str | None = None
    resource: str | None = None
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page, and the place after which the next one goes on; None at the end of the list."""

    rows: Sequence[StoredEvent]
    next: Place | None


def page(connection: Connection, wanted: Wanted, *, after: Place | None, limit: int) -> Listed:
    """The next events, cancelled ones included: at most `limit`, found among at most _MOST_EVENTS."""
    plan_for_values(connection)
    found: list[Place] = []
    seen, left = after, _MOST_EVENTS
    for tenant_id, types in _streams(connection, wanted, after):
        if left <= 0:
            return _listed(connection, found, seen)
        beyond = after if after is not None and after[0] == tenant_id else None
        most = left if wanted.resource is not None else limit + 1 - len(found)
        rows = _merged(connection, wanted, tenant_id, types, after=beyond, limit=most)
        for at, identity, resource in rows:
            place = (tenant_id, at, identity)
            if wanted.resource in (None, resource):
                if len(found) == limit:
                    return _listed(connection, found, found[-1])
                found.append(place)
            seen = place
        left -= max(len(rows), _TENANT_IN_EVENTS)
        if left <= 0 and len(rows) == most:
            return _listed(connection, found, seen)
    return _listed(connection, found, None)


def _listed(connection: Connection, places: Sequence[Place], next: Place | None) -> Listed:
    keys = [(tenant_id, identity) for tenant_id, _, identity in places]
    found = {stored.key: stored for stored in event_store.find(connection, keys)}
    return Listed([found[key] for key in keys], next)


def _streams(connection: Connection, wanted: Wanted, after: Place | None) -> Iterator[tuple[UUID, Sequence[str]]]:
    """The tenants with events of those wanted (whatever their resource), in order, each with these events' types."""
    # Nothing of another type is ever kept.
    kinds = sa.select(meter_revisions.c.event_type.label("type")).distinct().subquery("kinds")
    own = (events.c.tenant_id == tenants.c.tenant_id, events.c.type == kinds.c.type, *_conditions(wanted))
    # A value, and no EXISTS: a planner may answer that by a walk through all events.
    probe = sa.select(sa.literal(1)).where(*own).limit(1).scalar_subquery()
    query = sa.select(tenants.c.tenant_id, kinds.c.type).select_from(tenants.join(kinds, sa.true()))
    query = query.where(probe.is_not(None)).order_by(tenants.c.tenant_id)
    for block in _tenants(connection, wanted.tenant_id, after):
        rows = connection.execute(query.where(tenants.c.tenant_id.between(block[0], block[-1]))).all()
        for tenant_id, group in groupby(rows, key=lambda row: row[0]):
            yield tenant_id, [row[1] for row in group]


def _tenants(connection: Connection, only: UUID | None, after: Place | None) -> Iterator[Sequence[UUID]]:
    """The tenants from the place on, in order: few at first, more at a time where few of them have anything."""
    if only is not None:
        yield [only]
        return
    query = sa.select(tenants.c.tenant_id).order_by(tenants.c.tenant_id)
    rest = query if after is None else query.where(tenants.c.tenant_id >= after[0])
    size = _FIRST_TENANTS
    while block := connection.execute(rest.limit(size)).scalars().all():
        yield block
        rest = query.where(tenants.c.tenant_id > block[-1])
        size = min(size * 8, _MOST_TENANTS)


def _merged(
    connection: Connection, wanted: Wanted, tenant_id: UUID, types: Sequence[str], *, after: Place | None, limit: int
) -> list[_Row]:
    """(time, identity, resource) of the tenant's next events of these types, in order."""
    conditions = [events.c.tenant_id == tenant_id, *_conditions(wanted)]
    if after is not None:
        kinds: list[Any] = [Instant(), Name16()]
        conditions.append(sa.tuple_(events.c.time, events.c.identity, types=kinds) > sa.tuple_(*after[1:], types=kinds))
    # Where no resource is wanted the index says all.
    resource = events.c.resource if wanted.resource is not None else sa.null().label("resource")
    every = sa.select(events.c.time, events.c.identity, resource).where(*conditions)
    every = every.order_by(events.c.time, events.c.identity).limit(limit)
    found: list[_Row] = []
    for start in range(0, len(types), _MOST_TYPES):
        parts = [every.where(events.c.type == kind).subquery() for kind in types[start : start + _MOST_TYPES]]
        merged = sa.union_all(*map(sa.select, parts))
        ordered = merged.order_by(merged.selected_columns.time, merged.selected_columns.identity)
        found += connection.execute(ordered.limit(limit))
    return sorted(found, key=lambda row: row[:2])[:limit]


def _conditions(wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted.type is not None:
        found.append(events.c.type == wanted.type)
    if wanted.start is not None:
        found.append(events.c.time >= wanted.start)
    if wanted.end is not None:
        found.append(events.c.time < wanted.end)
    return found
