"""Keep what is new and count it: the part of a transaction that ingestion and release share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged
from app.domain.aggregation import Bucket, Tally
from app.domain.events import UsageEvent, same_content
from app.domain.ids import NOBODY
from app.storage import event_store, quarantine_store, usage_store

Status = Literal["accepted", "duplicate", "conflict", "quarantined"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of each judged event, in order, and what is still to be counted by `count`."""

    statuses: tuple[Status, ...]
    additions: tuple[Bucket, ...]
    accepted: tuple[Judged, ...]


def keep(connection: Connection, judged: Sequence[Judged], *, version: int, received_at: Iterable[datetime]) -> Kept:
    """Inserts each new identity once, the first acceptable event of it; the order given decides between equals.

    Where an identity was there already, what came is a duplicate or a conflict even if it could not be measured now.
    """
    arrivals = list(received_at)
    keys = [_key(item.tenant_id, item.identity) for item in judged]
    candidates: dict[_Key, int] = {}
    for position, item in enumerate(judged):
        if item.reason is None:
            candidates.setdefault(keys[position], position)
    # In key order: two transactions with the same events then wait for each other and never deadlock.
    chosen = [candidates[key] for key in sorted(candidates)]
    there = event_store.insert_new(
        connection, [judged[position] for position in chosen], [arrivals[position] for position in chosen], version
    )
    asked = {keys[chosen[number]]: judged[chosen[number]] for number in there}
    for key, item in zip(keys, judged, strict=True):
        if item.reason is not None and item.tenant_id != NOBODY and key not in candidates:
            asked[key] = item
    before = {
        _key(stored.tenant_id, stored.identity): (stored.digest, stored.event)
        for stored in event_store.find(connection, [(item.tenant_id, item.identity) for item in asked.values()])
    }
    statuses: list[Status] = []
    accepted: list[Judged] = []
    additions = Tally()
    for position, item in enumerate(judged):
        key = keys[position]
        first = candidates.get(key, position)
        if key in before:
            statuses.append(_repeated(item, *before[key]))
        elif first < position:
            statuses.append(_repeated(item, judged[first].digest, judged[first].event))
        elif item.reason is not None:
            statuses.append("quarantined")
        else:
            statuses.append("accepted")
            accepted.append(item)
            additions.count(item)
    return Kept(tuple(statuses), tuple(additions.buckets()), tuple(accepted))


_Key = tuple[int, bytes]


def _key(tenant_id: UUID, identity: bytes) -> _Key:
    """UUIDs are slow to hash: here their numbers stand for them."""
    return tenant_id.int, identity


def _repeated(item: Judged, digest: bytes, event: UsageEvent) -> Status:
    return "duplicate" if digest == item.digest or same_content(event, item.event) else "conflict"


def count(connection: Connection, kept: Kept) -> None:
    """Adds what was kept to its buckets and closes quarantined copies of it. Last in the transaction."""
    if kept.accepted:
        quarantine_store.supersede(connection, ((item.tenant_id, item.identity) for item in kept.accepted))
    usage_store.add(connection, kept.additions)
