"""Keep what is new and count it: the part of a transaction that ingestion and release share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged
from app.domain.aggregation import Bucket, Tally
from app.domain.events import UsageEvent, same_content
from app.domain.ids import NOBODY
from app.storage import event_store, quarantine_store, usage_store
from app.storage.event_store import EventKey, StoredEvent

Status = Literal["accepted", "duplicate", "conflict", "quarantined"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of each judged event, in order, and what is still to be counted by `count`."""

    statuses: tuple[Status, ...]
    additions: tuple[Bucket, ...]
    accepted: tuple[EventKey, ...]


def keep(connection: Connection, judged: Sequence[Judged], *, version: int, received_at: Iterable[datetime]) -> Kept:
    """Inserts each new identity once, the first acceptable event of it; the order given decides between equals.

    Where an identity was there already, what came is a duplicate or a conflict even if it could not be measured now.
    """
    arrivals = list(received_at)
    # UUIDs are slow to hash: here their numbers stand for them.
    candidates: dict[tuple[int, bytes], int] = {}
    for position, item in enumerate(judged):
        if item.reason is None:
            candidates.setdefault((item.tenant_id.int, item.identity), position)
    rows = [_stored(judged[position], arrivals[position], version) for position in candidates.values()]
    there = event_store.insert_new(connection, rows)
    asked = there | {
        (item.tenant_id, item.identity)
        for item in judged
        if item.reason is not None
        and item.tenant_id != NOBODY
        and (item.tenant_id.int, item.identity) not in candidates
    }
    before = event_store.find(connection, sorted(asked, key=lambda key: (key[0].int, key[1])))
    first: dict[tuple[int, bytes], tuple[bytes, UsageEvent]] = {
        (tenant_id.int, identity): (stored.digest, stored.event) for (tenant_id, identity), stored in before.items()
    }
    statuses: list[Status] = []
    additions = Tally()
    for item in judged:
        key = (item.tenant_id.int, item.identity)
        if key in first:
            digest, event = first[key]
            same = digest == item.digest or same_content(event, item.event)
            statuses.append("duplicate" if same else "conflict")
        elif item.reason is not None:
            statuses.append("quarantined")
        else:
            first[key] = (item.digest, item.event)
            statuses.append("accepted")
            for bucket in item.contributions:
                additions.add(bucket)
    accepted = [row.key for row in rows if row.key not in there] if there else [row.key for row in rows]
    return Kept(tuple(statuses), tuple(additions.buckets()), tuple(accepted))


def count(connection: Connection, kept: Kept) -> None:
    """Adds what was kept to its buckets and closes quarantined copies of it. Last in the transaction."""
    if kept.accepted:
        quarantine_store.supersede(connection, kept.accepted)
    usage_store.add(connection, kept.additions)


def _stored(item: Judged, received_at: datetime, version: int) -> StoredEvent:
    return StoredEvent(
        item.tenant_id, item.identity, item.event, item.at, received_at, item.digest, catalog_version=version
    )
