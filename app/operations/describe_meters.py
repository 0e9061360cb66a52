"""Every meter with the times of its first and its newest revision."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.catalog import MeterEntry
from app.domain.ids import made_at
from app.storage import catalog_store, meter_store
from app.storage.database import Database


@dataclass(frozen=True, slots=True)
class DescribedMeter:
    """`updated_at` is when what the meter measures was last changed; its name and units may have been changed since."""

    entry: MeterEntry
    created_at: datetime
    updated_at: datetime


def describe_meters(database: Database) -> list[DescribedMeter]:
    """All of them, by key."""

    def work(connection: Connection) -> list[DescribedMeter]:
        times: dict[str, list[datetime]] = {}
        for meter in meter_store.load(connection, states=("building", "active", "retired")):
            times.setdefault(meter.key, []).append(made_at(meter.meter_id))
        entries = catalog_store.list_meters(connection, after=None, limit=len(times))
        return [DescribedMeter(entry, min(times[entry.meter.key]), max(times[entry.meter.key])) for entry in entries]

    return database.read(work)
