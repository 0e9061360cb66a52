"""Meter revisions as ingestion, reads and audit need them."""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.events import parse_json
from app.domain.kept_meters import read_meter
from app.domain.meters import Meter
from app.storage.tables import meter_revisions, meters


def load(
    connection: Connection, *, states: tuple[str, ...] = ("building", "active"), key: str | None = None
) -> list[Meter]:
    """The revisions in these states, by meter and age; the last of each meter is its newest. Of one meter where it is
    named."""
    query = (
        sa.select(meter_revisions, meters.c.unit, meters.c.unit_code)
        .join(meters, meters.c.key == meter_revisions.c.key)
        .where(meter_revisions.c.state.in_(states))
        .order_by(meter_revisions.c.key, meter_revisions.c.revision)
    )
    if key is not None:
        query = query.where(meter_revisions.c.key == key)
    rows = list(connection.execute(query).mappings())
    newest = {row["key"]: row["meter_id"] for row in rows}
    return [_meter(row, newest[row["key"]] == row["meter_id"]) for row in rows]


def find(connection: Connection, meter_id: UUID) -> tuple[Meter, str, int] | None:
    """The revision with its state and the catalog version that first had it."""
    query = (
        sa.select(meter_revisions, meters.c.unit, meters.c.unit_code)
        .join(meters, meters.c.key == meter_revisions.c.key)
        .where(meter_revisions.c.meter_id == meter_id)
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else (_meter(row, True), row["state"], row["since_version"])


def activate(connection: Connection, meter: Meter) -> list[UUID]:
    """Makes a built revision the one that answers; the revisions that it replaces, now retired."""
    replaced = (
        sa.select(meter_revisions.c.meter_id)
        .where(meter_revisions.c.key == meter.key, meter_revisions.c.state == "active")
    )  # fmt: skip
    old = list(connection.execute(replaced).scalars())
    for meter_id, state in [*((item, "retired") for item in old), (meter.meter_id, "active")]:
        connection.execute(meter_revisions.update().where(meter_revisions.c.meter_id == meter_id).values(state=state))
    return old


def retired(connection: Connection, key: str) -> list[UUID]:
    query = sa.select(meter_revisions.c.meter_id)
    query = query.where(meter_revisions.c.key == key, meter_revisions.c.state == "retired")
    return list(connection.execute(query).scalars())


def _meter(row: RowMapping, newest: bool) -> Meter:
    return read_meter(
        parse_json(row["definition"]), key=row["key"], meter_id=row["meter_id"], event_type=row["event_type"],
        unit=row["unit"], unit_code=row["unit_code"], state=row["state"], newest=newest,
    )  # fmt: skip
