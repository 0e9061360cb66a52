"""Keep what is new, count it, and answer for every event: de-duplication, storing and counting in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged, Rejected, judge
from app.domain.events import UsageEvent
from app.operations.keep_events import Status, count, keep
from app.storage import quarantine_store
from app.storage.catalog_snapshot import CatalogCache, Snapshot
from app.storage.database import Database

OutcomeStatus = Literal["accepted", "duplicate", "conflict", "quarantined", "rejected"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to the event at one position of the request. `reason` and `detail` say why it was set aside."""

    status: OutcomeStatus
    id: str | None
    reason: str | None = None
    detail: str | None = None
    pointer: str = ""
    late_seconds: int = 0


def ingest_events(
    database: Database, cache: CatalogCache, sent: Sequence[UsageEvent | Rejected], *, now: datetime,
    future: timedelta, bound_to: UUID | None = None,
) -> list[Outcome]:  # fmt: skip
    """One outcome per event sent, in order, once everything that was kept is durable."""
    events = [item for item in sent if isinstance(item, UsageEvent)]
    subjects = {event.subject for event in events if event.subject}
    resources = {event.resource for event in events if event.resource}

    def judge_all(snapshot: Snapshot) -> list[Judged | Rejected]:
        return [
            judge(item, snapshot, received_at=now, now=now, future=future, bound_to=bound_to)
            if isinstance(item, UsageEvent)
            else item
            for item in sent
        ]

    known = cache.snapshot
    early = judge_all(known) if known is not None and known.covers(subjects, resources) else None

    def work(connection: Connection) -> list[Outcome]:
        snapshot = cache.at_locked_version(connection)
        judgements = early
        if judgements is None or snapshot is not known:
            snapshot.look_up(connection, subjects, resources)
            judgements = judge_all(snapshot)
        return _apply(connection, judgements, version=snapshot.version, now=now)

    return database.write(work) if events else [_rejected(item) for item in sent if isinstance(item, Rejected)]


def _apply(
    connection: Connection, judgements: Sequence[Judged | Rejected], *, version: int, now: datetime
) -> list[Outcome]:
    judged = [item for item in judgements if isinstance(item, Judged)]
    kept = keep(connection, judged, version=version, received_at=[now] * len(judged))
    aside = [
        (quarantine_id(item), item)
        for item, status in zip(judged, kept.statuses, strict=True)
        if status == "quarantined"
    ]
    quarantine_store.keep(connection, aside, now)
    count(connection, kept)
    statuses = iter(kept.statuses)
    return [
        _rejected(item) if isinstance(item, Rejected) else _outcome(item, next(statuses), now) for item in judgements
    ]


def quarantine_id(item: Judged) -> UUID:
    """The same for every copy of one content under one subject, source and id."""
    digest = blake2b(item.digest, digest_size=16)
    digest.update(item.identity.bytes)
    return UUID(bytes=digest.digest())


def _rejected(item: Rejected) -> Outcome:
    return Outcome("rejected", item.id, detail=item.detail, pointer=item.pointer)


def _outcome(item: Judged, status: Status, now: datetime) -> Outcome:
    late = max(0, int((now - item.at).total_seconds())) if status == "accepted" else 0
    if status != "quarantined":
        return Outcome(status, item.event.id, late_seconds=late)
    return Outcome(status, item.event.id, item.reason, item.detail)
