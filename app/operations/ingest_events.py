"""Keep what is new, count it, and answer for every event: de-duplication, storing and counting in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged, Rejected, judge
from app.domain.errors import BillingError
from app.domain.events import UsageEvent, microseconds
from app.observability import metrics
from app.operations.keep_events import Status, count, keep, keep_and_count
from app.storage import quarantine_store
from app.storage.catalog_snapshot import CatalogCache, Snapshot
from app.storage.database import Database

_MICROSECOND = timedelta(microseconds=1)

OutcomeStatus = Literal["accepted", "duplicate", "conflict", "quarantined", "rejected"]


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What happened to the event at one position of the request. `reason` and `detail` say why it was set aside."""

    status: OutcomeStatus
    id: str | None
    reason: str | None = None
    detail: str | None = None
    pointer: str = ""


class Outcomes(msgspec.Struct, frozen=True, gc=False):
    """What became of the events of one post: so many were sent, and all were accepted but those that `exceptions` has,
    by position and in order."""

    sent: int
    exceptions: dict[int, Outcome]

    def counts(self) -> Counter[OutcomeStatus]:
        """How many events had each outcome; together they are all that was sent."""
        found: Counter[OutcomeStatus] = Counter(outcome.status for outcome in self.exceptions.values())
        found["accepted"] = self.sent - len(self.exceptions)
        return found


class Post(msgspec.Struct, frozen=True, gc=False):
    """What one request sent. `check` is asked where the catalog, keys included, has changed since it was let in; it
    raises what the request is to be answered with."""

    sent: Sequence[UsageEvent | Rejected]
    received_at: datetime
    bound_to: UUID | None = None
    let_in_at: int = 0
    check: Callable[[Connection], None] | None = None


def ingest_events(
    database: Database, cache: CatalogCache, posts: Sequence[Post], *, future: timedelta
) -> list[Outcomes | BillingError]:
    """For each post the outcomes of its events, once everything that was kept is durable: all posts in one transaction.
    A post that may not be taken any more has its error instead."""
    events = [item for post in posts for item in post.sent if isinstance(item, UsageEvent)]
    subjects = {event.subject for event in events if event.subject}
    resources = {event.resource for event in events if event.resource}
    known = cache.covering(database, subjects, resources)
    early = _judge_all(posts, known, future)

    def work(connection: Connection) -> list[_Done | BillingError]:
        snapshot = cache.at_locked_version(connection)
        refused = _refused(connection, posts, snapshot.version)
        judgements = early
        if snapshot is not known:
            snapshot.look_up(connection, subjects, resources)
            judgements = _judge_all(posts, snapshot, future)
        wanted = [index for index in range(len(posts)) if index not in refused]
        taken = iter(_apply(connection, [posts[i] for i in wanted], [judgements[i] for i in wanted], snapshot.version))
        return [refused[index] if index in refused else next(taken) for index in range(len(posts))]

    done = None if database.is_sqlite else _at_once(database, posts, early, known.version)
    told = _told(database.write(work) if done is None else done)
    cache.touch(subjects, {post.bound_to for post in posts if post.bound_to is not None})
    return told


def _told(done: Sequence[_Done | BillingError]) -> list[Outcomes | BillingError]:
    """The outcomes, once lateness is noted."""
    for one in done:
        if isinstance(one, _Done) and one.late is not None:
            metrics.LATENESS_SECONDS.observe(one.late.total_seconds())
    return [one.outcomes if isinstance(one, _Done) else one for one in done]


class _Done(msgspec.Struct, frozen=True, gc=False):
    """The outcomes of one post, and how late the oldest event came that it was accepted for."""

    outcomes: Outcomes
    late: timedelta | None


def _judge_all(posts: Sequence[Post], catalog: Snapshot, future: timedelta) -> list[list[Judged | Rejected]]:
    judgements = []
    for post in posts:
        received_at, latest, bound_to = post.received_at, post.received_at + future, post.bound_to
        judgements.append([
            judge(item, catalog, received_at=received_at, latest=latest, bound_to=bound_to)
            if isinstance(item, UsageEvent)
            else item
            for item in post.sent
        ])  # fmt: skip
    return judgements


def _refused(connection: Connection, posts: Sequence[Post], version: int) -> dict[int, BillingError]:
    """The posts, by position, that were let in under an older version and would not be under this one."""
    found: dict[int, BillingError] = {}
    for index, post in enumerate(posts):
        if post.check is not None and post.let_in_at != version:
            try:
                post.check(connection)
            except BillingError as error:
                found[index] = error
    return found


def _at_once(
    database: Database, posts: Sequence[Post], judgements: Sequence[Sequence[Judged | Rejected]], version: int
) -> Sequence[_Done] | None:
    """The quick way, for what is most often so: nobody's key is in doubt and nothing is to be set aside. None where it
    is not so, or is no longer; nothing was done then."""
    if any(post.check is not None and post.let_in_at != version for post in posts):
        return None
    judged, received_at = _flat(posts, judgements)
    if any(item.reason is not None for item in judged):
        return None
    statuses = keep_and_count(database, judged, version=version, received_at=received_at)
    return None if statuses is None else _all_done(posts, judgements, statuses)


def _apply(
    connection: Connection, posts: Sequence[Post], judgements: Sequence[Sequence[Judged | Rejected]], version: int
) -> list[_Done]:
    judged, received_at = _flat(posts, judgements)
    kept = keep(connection, judged, version=version, received_at=received_at)
    aside = [
        (quarantine_id(item), item, at)
        for item, status, at in zip(judged, kept.statuses, received_at, strict=True)
        if status == "quarantined"
    ]
    quarantine_store.keep(connection, aside)
    count(connection, kept)
    return _all_done(posts, judgements, kept.statuses)


def _flat(
    posts: Sequence[Post], judgements: Sequence[Sequence[Judged | Rejected]]
) -> tuple[list[Judged], list[datetime]]:
    """What was judged of all posts, and when each came."""
    judged: list[Judged] = []
    received_at: list[datetime] = []
    for post, items in zip(posts, judgements, strict=True):
        own = [item for item in items if isinstance(item, Judged)]
        judged += own
        received_at += [post.received_at] * len(own)
    return judged, received_at


def _all_done(
    posts: Sequence[Post], judgements: Sequence[Sequence[Judged | Rejected]], statuses: Sequence[Status]
) -> list[_Done]:
    rest = iter(statuses)
    return [_done(post, items, rest) for post, items in zip(posts, judgements, strict=True)]


def _done(post: Post, items: Sequence[Judged | Rejected], statuses: Iterator[Status]) -> _Done:
    exceptions: dict[int, Outcome] = {}
    oldest: int | None = None
    for position, item in enumerate(items):
        if isinstance(item, Rejected):
            exceptions[position] = Outcome("rejected", item.id, detail=item.detail, pointer=item.pointer)
            continue
        status = next(statuses)
        if status == "accepted":
            if oldest is None or item.moment < oldest:
                oldest = item.moment
        elif status == "quarantined":
            exceptions[position] = Outcome(status, item.event.id, item.reason, item.detail)
        else:
            exceptions[position] = Outcome(status, item.event.id)
    late = None if oldest is None else max(microseconds(post.received_at) - oldest, 0) * _MICROSECOND
    return _Done(Outcomes(len(items), exceptions), late)


def quarantine_id(item: Judged) -> UUID:
    """The same for every copy of one content under one subject, source and id."""
    digest = blake2b(item.digest, digest_size=16)
    digest.update(item.identity)
    return UUID(bytes=digest.digest())
