"""Keep what is new and count it: the part that ingestion and release share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged
from app.domain.aggregation import Bucket, Tally
from app.domain.events import UsageEvent, same_content
from app.domain.ids import NOBODY, name_of
from app.storage import event_store, one_statement, quarantine_store, usage_store
from app.storage.database import Database
from app.storage.event_store import StoredEvent

Status = Literal["accepted", "duplicate", "conflict", "quarantined"]

_ACCEPTED: tuple[Status, ...] = ("accepted",)
_Key = bytes
"""The tenant's and the event's own 16 bytes: UUIDs are slow to hash."""
_TRIES = 3
_First = tuple[bytes, UsageEvent]
"""The event that an identity stands for, with its digest where that is known."""


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
    group = _Group(judged, list(received_at))
    asked = {group.chosen[n] for n in event_store.insert_new(connection, group.rows, group.arrivals, version)}
    for position, item in enumerate(judged):
        if item.reason is not None and item.tenant_id != NOBODY and group.keys[position] not in group.candidates:
            asked.add(position)
    statuses = group.statuses(_find(connection, [judged[position] for position in asked]))
    accepted = tuple(item for item, status in zip(judged, statuses, strict=True) if status == "accepted")
    additions = Tally()
    for item in accepted:
        additions.count(item)
    return Kept(statuses, tuple(additions.buckets()), accepted)


def count(connection: Connection, kept: Kept) -> None:
    """Adds what was kept to its buckets and closes quarantined copies of it. Last in the transaction."""
    _supersede(connection, kept.accepted)
    usage_store.add(connection, kept.additions)


def keep_and_count(
    database: Database, judged: Sequence[Judged], *, version: int, received_at: Sequence[datetime]
) -> tuple[Status, ...] | None:
    """`keep` and `count` of acceptable events on PostgreSQL, in less time. None, and nothing was done, where the
    catalog's version is another by now, or twins of the events come in again and again."""
    group = _Group(judged, received_at)
    for _ in range(_TRIES):
        known = one_statement.find_known(database, group.rows)
        new = [n for n in range(len(group.rows)) if n not in known] if known else range(len(group.rows))
        rows = [group.rows[n] for n in new]
        answer = one_statement.keep_and_count(database, rows, [group.arrivals[n] for n in new], version=version)
        if answer is not None:
            break
    else:
        return None
    if answer.version != version:
        return None
    if answer.copies_open:
        database.write(lambda connection: _supersede(connection, rows))
    return group.statuses({_key(group.rows[n]): (b"", event) for n, event in known.items()})


class _Group:
    """The judged events of one transaction. `chosen` are the positions of those to insert: of each identity the first
    that is acceptable, in key order, so that two transactions with the same events wait for each other and never
    deadlock."""

    def __init__(self, judged: Sequence[Judged], received_at: Sequence[datetime]) -> None:
        self.judged = judged
        self.keys = [_key(item) for item in judged]
        self.candidates: dict[_Key, int] = {}
        for position, item in enumerate(judged):
            if item.reason is None:
                self.candidates.setdefault(self.keys[position], position)
        self.chosen = [self.candidates[key] for key in sorted(self.candidates)]
        self.rows = [judged[position] for position in self.chosen]
        self.arrivals = [received_at[position] for position in self.chosen]

    def statuses(self, before: Mapping[_Key, _First]) -> tuple[Status, ...]:
        """What became of each, where these were there before."""
        if not before and len(self.chosen) == len(self.judged):
            return _ACCEPTED * len(self.judged)
        found: list[Status] = []
        for position, item in enumerate(self.judged):
            key = self.keys[position]
            first = self.candidates.get(key, position)
            if key in before:
                found.append(_repeated(item, before[key]))
            elif first < position:
                found.append(_repeated(item, (self.judged[first].digest, self.judged[first].event)))
            else:
                found.append("accepted" if item.reason is None else "quarantined")
        return tuple(found)


def _key(item: Judged | StoredEvent) -> _Key:
    return name_of(item.tenant_id) + item.identity


def _find(connection: Connection, wanted: Sequence[Judged]) -> dict[_Key, _First]:
    found = event_store.find(connection, [(item.tenant_id, item.identity) for item in wanted])
    return {_key(stored): (stored.digest, stored.event) for stored in found}


def _repeated(item: Judged, first: _First) -> Status:
    digest, event = first
    same = digest == item.digest or event is item.event or same_content(event, item.event)
    return "duplicate" if same else "conflict"


def _supersede(connection: Connection, accepted: Sequence[Judged]) -> None:
    quarantine_store.supersede(connection, ((item.tenant_id, item.identity) for item in accepted))
