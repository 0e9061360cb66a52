"""Alerts, the tenants that are to be looked at, who looks, and what was noticed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Row

from app.domain.alerts import Alert, Crossing
from app.domain.ids import new_id
from app.domain.money import plain
from app.domain.periods import Period
from app.storage.tables import (
    alert_events,
    alert_marks,
    alert_watch,
    alerts,
    subscription_changes,
    subscriptions,
    tenant_subjects,
    tenants,
)
from app.storage.types import Id
from app.storage.upserts import insert_missing, insert_new

_CHUNK = 500
_WATCH = "alerts"


# --- alerts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """The alert, its id, which stays while it is replaced, and the tenant's id where it watches one."""

    alert: Alert
    alert_id: UUID
    tenant_id: UUID | None


def find(connection: Connection, key: str, *, lock: bool = False) -> StoredAlert | None:
    query = _alerts().where(alerts.c.key == key)
    row = connection.execute(query.with_for_update(of=alerts) if lock else query).first()
    return None if row is None else _alert(row)


def list_alerts(
    connection: Connection, *, after: str | None, limit: int, tenant_id: UUID | None = None, plan: str | None = None
) -> list[StoredAlert]:
    """The alerts after the key, by key; of one tenant or one plan where they are named."""
    query = _alerts().order_by(alerts.c.key).limit(limit)
    if tenant_id is not None:
        query = query.where(alerts.c.tenant_id == tenant_id)
    if plan is not None:
        query = query.where(alerts.c.plan == plan)
    if after is not None:
        query = query.where(alerts.c.key > after)
    return [_alert(row) for row in connection.execute(query)]


def enabled_alerts(connection: Connection) -> list[StoredAlert]:
    """All that are watched, by key."""
    return [_alert(row) for row in connection.execute(_alerts().where(alerts.c.enabled).order_by(alerts.c.key))]


def save(connection: Connection, stored: StoredAlert, *, is_new: bool) -> None:
    """Writes the row. Where another made it since it was looked for, the insert fails and the caller begins anew."""
    alert = stored.alert
    values = {
        "tenant_id": stored.tenant_id, "plan": alert.plan or "", "enabled": alert.enabled,
        "definition": json.dumps(
            {"measure": alert.measure, "thresholds": [format(item, "f") for item in alert.thresholds],
             "meter": alert.meter, "charge": alert.charge, "percent_of": alert.percent_of,
             "recurring": alert.recurring}
        ),
    }  # fmt: skip
    if is_new:
        connection.execute(alerts.insert().values(key=alert.key, alert_id=stored.alert_id, **values))
    else:
        connection.execute(alerts.update().where(alerts.c.key == alert.key).values(**values))


def _alerts() -> sa.Select[Any]:
    return sa.select(alerts, tenants.c.key.label("tenant")).join(
        tenants, tenants.c.tenant_id == alerts.c.tenant_id, isouter=True
    )


def _alert(row: Row[Any]) -> StoredAlert:
    fixed = json.loads(row.definition)
    alert = Alert(
        row.key, fixed["measure"], tuple(map(Decimal, fixed["thresholds"])), row.tenant, row.plan or None,
        fixed["meter"], fixed["charge"], fixed["percent_of"], fixed["recurring"], bool(row.enabled),
    )  # fmt: skip
    return StoredAlert(alert, row.alert_id, row.tenant_id)


# --- who is to be looked at -------------------------------------------------------------------------------------------


def _is_watched(tenant_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    named = sa.select(alerts.c.tenant_id).where(alerts.c.enabled, alerts.c.tenant_id.is_not(None))
    by_plan = sa.select(alerts.c.plan).where(alerts.c.enabled, alerts.c.plan != "")
    subscribed = sa.select(subscriptions.c.tenant_id).where(subscriptions.c.plan.in_(by_plan))
    changed = sa.select(subscription_changes.c.tenant_id).where(subscription_changes.c.plan.in_(by_plan))
    return sa.or_(tenant_id.in_(named), tenant_id.in_(subscribed), tenant_id.in_(changed))


def any_enabled(connection: Connection) -> bool:
    return connection.execute(sa.select(sa.literal(1)).where(alerts.c.enabled).limit(1)).first() is not None


def watched_among(connection: Connection, subjects: Collection[str], tenant_ids: Collection[UUID]) -> set[UUID]:
    """The tenants with alerts that any of these event subjects is or was, and those of the tenants that have alerts."""
    if not any_enabled(connection):
        return set()
    ordered, found = sorted(subjects), _watched_of(connection, tenant_ids)
    for start in range(0, len(ordered), _CHUNK):
        query = sa.select(tenant_subjects.c.tenant_id).distinct()
        query = query.where(tenant_subjects.c.subject.in_(ordered[start : start + _CHUNK]))
        found |= set(connection.execute(query.where(_is_watched(tenant_subjects.c.tenant_id))).scalars())
    return found


def watched_after(connection: Connection, after: UUID | None, *, limit: int) -> list[UUID]:
    """Tenants with alerts, by id, after that one."""
    query = sa.select(tenants.c.tenant_id).where(_is_watched(tenants.c.tenant_id)).order_by(tenants.c.tenant_id)
    if after is not None:
        query = query.where(tenants.c.tenant_id > after)
    return list(connection.execute(query.limit(limit)).scalars())


def watched_by(connection: Connection, stored: StoredAlert) -> list[UUID]:
    """The tenants that the alert is about, or may be: those that are on its plan at some time."""
    if stored.tenant_id is not None:
        return [stored.tenant_id]
    found: set[UUID] = set()
    for table in (subscriptions, subscription_changes):
        found |= set(
            connection.execute(sa.select(table.c.tenant_id).where(table.c.plan == stored.alert.plan)).scalars()
        )
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Mark:
    """A tenant that is to be looked at. A later change gives it another `mark_id`."""

    tenant_id: UUID
    mark_id: UUID


def mark(connection: Connection, tenant_ids: Iterable[UUID], now: datetime) -> None:
    """These tenants are to be looked at; one that waits already waits since when it did. In order of their ids, so that
    two who mark the same wait for each other and never deadlock."""
    rows = [{"tenant_id": id, "mark_id": new_id(), "marked_at": now} for id in sorted(set(tenant_ids))]
    if not rows:
        return
    insert: Any = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(alert_marks)
    again = insert.on_conflict_do_update(
        index_elements=[alert_marks.c.tenant_id], set_={"mark_id": insert.excluded.mark_id}
    )
    connection.execute(again, rows)


def _watched_of(connection: Connection, tenant_ids: Collection[UUID]) -> set[UUID]:
    if not tenant_ids:
        return set()
    query = sa.select(tenants.c.tenant_id).where(tenants.c.tenant_id.in_(sorted(tenant_ids)))
    return set(connection.execute(query.where(_is_watched(tenants.c.tenant_id))).scalars())


def oldest_marks(connection: Connection, *, limit: int) -> list[Mark]:
    query = sa.select(alert_marks).order_by(alert_marks.c.marked_at, alert_marks.c.tenant_id).limit(limit)
    return [Mark(row.tenant_id, row.mark_id) for row in connection.execute(query)]


def waiting_since(connection: Connection) -> datetime | None:
    """Since when the tenant waits that waits longest; None where none does."""
    query = sa.select(sa.func.min(alert_marks.c.marked_at, type_=alert_marks.c.marked_at.type))
    found: datetime | None = connection.execute(query).scalar()
    return found


def unmark(connection: Connection, marks: Sequence[Mark]) -> None:
    """Takes the marks away, but for those of tenants that were marked again since."""
    for start in range(0, len(marks), _CHUNK):
        ids = [item.mark_id for item in marks[start : start + _CHUNK]]
        tenant_ids = [item.tenant_id for item in marks[start : start + _CHUNK]]
        connection.execute(
            alert_marks.delete().where(alert_marks.c.tenant_id.in_(tenant_ids), alert_marks.c.mark_id.in_(ids))
        )


def forget_marks(connection: Connection) -> None:
    connection.execute(alert_marks.delete())


# --- who looks --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether there is anything to watch and anything that waits; when all tenants were last looked at, whoever did."""

    has_alerts: bool
    has_marks: bool
    swept_at: datetime | None


def outlook(connection: Connection) -> Watch:
    waits = connection.execute(sa.select(sa.literal(1)).select_from(alert_marks).limit(1)).first() is not None
    row = connection.execute(sa.select(alert_watch)).first()
    return Watch(any_enabled(connection), waits, None if row is None else row.swept_at)


def take_watch(connection: Connection, *, holder: str, now: datetime, seconds: int) -> bool:
    """True where this holder is the one that looks, from now for so many seconds: a lease, as jobs have it."""
    epoch = now - timedelta(days=36_500) if now.year > 2070 else datetime(1970, 1, 1, tzinfo=now.tzinfo)
    first = {"name": _WATCH, "leased_by": "", "leased_until": epoch, "swept_at": epoch}
    insert_missing(connection, alert_watch, [first])
    free = sa.or_(alert_watch.c.leased_until < now, alert_watch.c.leased_by == holder)
    taken = connection.execute(
        alert_watch.update()
        .where(alert_watch.c.name == _WATCH, free)
        .values(leased_by=holder, leased_until=now + timedelta(seconds=seconds))
    )
    return bool(taken.rowcount)


def note_sweep(connection: Connection, *, holder: str, at: datetime) -> None:
    connection.execute(alert_watch.update().where(alert_watch.c.leased_by == holder).values(swept_at=at))


# --- what was noticed -------------------------------------------------------------------------------------------------

NoticedKey = tuple[UUID, UUID, str, datetime]
"""(tenant, alert, subscription, round)"""


def noticed(
    connection: Connection, tenant_ids: Sequence[UUID], rounds: Sequence[datetime]
) -> dict[NoticedKey, dict[Decimal, bool]]:
    """What was noticed of these tenants in these rounds: each threshold, True where it has receded since."""
    query = sa.select(
        alert_events.c.tenant_id, alert_events.c.alert_id, alert_events.c.subscription, alert_events.c.round,
        alert_events.c.threshold, alert_events.c.receded_at,
    ).where(alert_events.c.tenant_id.in_(tenant_ids), alert_events.c.round.in_(rounds))  # fmt: skip
    found: dict[NoticedKey, dict[Decimal, bool]] = {}
    for tenant_id, alert_id, subscription, round_, threshold, receded_at in connection.execute(query):
        key = (tenant_id, alert_id, subscription, round_)
        found.setdefault(key, {})[Decimal(threshold)] = receded_at is not None
    return found


def record(connection: Connection, alert_id: UUID, crossing: Crossing) -> bool:
    """True where this is the first time that the crossing is noticed in its round."""
    values = {
        "tenant_id": crossing.tenant_id, "alert_id": alert_id, "subscription": crossing.subscription,
        "threshold": plain(crossing.threshold), "round": crossing.round, "event_id": crossing.event_id,
        "alert": crossing.alert, "measure": crossing.measure, "meter": crossing.meter or "",
        "charge": crossing.charge or "", "percent_of": crossing.percent_of or "", "figure": crossing.figure,
        "base": crossing.base, "unit": crossing.unit, "period_start": crossing.period.start,
        "period_end": crossing.period.end, "noticed_at": crossing.noticed_at, "receded_at": None,
    }  # fmt: skip
    return insert_new(connection, alert_events, values)


def set_receded(connection: Connection, key: NoticedKey, thresholds: Sequence[Decimal], *, at: datetime | None) -> None:
    tenant_id, alert_id, subscription, round_ = key
    connection.execute(
        alert_events.update()
        .where(
            alert_events.c.tenant_id == tenant_id, alert_events.c.alert_id == alert_id,
            alert_events.c.subscription == subscription, alert_events.c.round == round_,
            alert_events.c.threshold.in_([plain(item) for item in thresholds]),
        )
        .values(receded_at=at)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class CrossingFilter:
    """Empty fields match everything. `since` and `until` bound the moment of noticing, half-open."""

    tenant_id: UUID | None = None
    alert: str | None = None
    start: datetime | None = None
    end: datetime | None = None


def list_crossings(
    connection: Connection, wanted: CrossingFilter, *, after: UUID | None, limit: int
) -> list[tuple[Crossing, str]]:
    """Crossings with their tenants' keys, in the order in which they were noticed."""
    query = sa.select(alert_events, tenants.c.key.label("tenant")).join(
        tenants, tenants.c.tenant_id == alert_events.c.tenant_id
    )
    if wanted.tenant_id is not None:
        query = query.where(alert_events.c.tenant_id == wanted.tenant_id)
    if wanted.alert is not None:
        query = query.where(alert_events.c.alert == wanted.alert)
    if wanted.start is not None:
        query = query.where(alert_events.c.noticed_at >= wanted.start)
    if wanted.end is not None:
        query = query.where(alert_events.c.noticed_at < wanted.end)
    if after is not None:
        query = query.where(alert_events.c.event_id > sa.literal(after, Id))
    rows = connection.execute(query.order_by(alert_events.c.event_id).limit(limit))
    return [(_crossing(row), row.tenant) for row in rows]


def _crossing(row: Row[Any]) -> Crossing:
    return Crossing(
        row.tenant_id, row.event_id, row.alert, row.measure, row.meter or None, row.charge or None, row.subscription,
        Decimal(row.threshold), row.percent_of or None, row.figure, row.base, row.unit,
        Period(row.period_start, row.period_end), row.round, row.noticed_at, row.receded_at,
    )  # fmt: skip
