"""What becomes of the bodies that one transaction takes: each decoded by itself, all ingested together.

taken = await take_usage(request, decode)        # `decode` is that of the dialect in which the events come
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.backfill import CHUNK_BYTES
from app.api.dependencies import (
    Limits,
    bearer_token,
    catalog,
    check_scope,
    database,
    limits,
    now,
    read_plain_body,
)  # fmt: skip
from app.api.group_commit import GroupCommit
from app.domain.acceptance import Rejected
from app.domain.callers import Caller
from app.domain.errors import BillingError
from app.domain.events import UsageEvent
from app.observability import metrics
from app.operations.authenticate import KnownCallers, authenticate, check_still_allowed
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.events import Sent

Decode = Callable[[bytes, Caller], tuple[Sent, bool]]
"""The events of a body, and whether it is a single one; runs in the writer's thread. Raises a BillingError where the
body cannot be read."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body as it came, how it is read, and who sent it with which key."""

    content: bytes
    decode: Decode
    received_at: datetime
    caller: Caller
    token: str


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the events of a body; `is_single` where the body was one event and no list."""

    sent: Sequence[UsageEvent | Rejected]
    outcomes: Outcomes
    is_single: bool
    received_at: datetime


Intake = GroupCommit[Body, Taken]


def open_intake(database: Database, cache: CatalogCache, limits: Limits) -> Intake:
    """SQLite has one writer; three transactions of PostgreSQL fill each other's waits."""
    return GroupCommit(
        _writer(database, cache, limits), writers=1 if database.is_sqlite else 3, max_bytes=limits.max_waiting_bytes
    )


def _writer(
    database: Database, cache: CatalogCache, limits: Limits
) -> Callable[[Sequence[Body]], Sequence[Taken | Exception]]:
    def write(bodies: Sequence[Body]) -> Sequence[Taken | Exception]:
        results: list[Taken | Exception | None] = [None] * len(bodies)
        posts: dict[int, tuple[Post, bool]] = {}
        for index, body in enumerate(bodies):
            try:
                posts[index] = _read(body)
            except BillingError as error:
                results[index] = error
        ingested = ingest_events(database, cache, [post for post, _ in posts.values()], future=limits.future)
        for (index, (post, is_single)), found in zip(posts.items(), ingested, strict=True):
            taken = found if isinstance(found, BillingError) else Taken(post.sent, found, is_single, post.received_at)
            results[index] = taken
        return [result for result in results if result is not None]

    return write


async def take_usage(request: Request, decode: Decode) -> Taken:
    """What became of each event of the request's body, after its commit.

    Raises NotAuthenticated, NotAllowed, TooLarge, Overloaded, BodyTooSlow or what `decode` raises; nothing of the body
    is kept then.
    """
    own, intake = limits(request), request.app.state.intake
    caller = await ingest_caller(request)
    with intake.room() as room:
        content = await read_plain_body(request, limit=own.max_body_bytes, take=room.take)
        began = time.perf_counter()
        taken: Taken = await intake.submit(
            Body(content, decode, now(request), caller, bearer_token(request)), client=caller.key_id, size=len(content)
        )
    _count(taken.outcomes)
    metrics.INGEST_SECONDS.observe(time.perf_counter() - began)
    return taken


async def take_chunks(
    request: Request, caller: Caller, chunks: AsyncIterator[bytes], decode: Decode
) -> AsyncIterator[Taken]:
    """What became of each chunk of a long body, one after another: each is written when nothing else waits to be.

    Raises what `take_usage` does; the chunks before are kept then.
    """
    intake = request.app.state.intake
    with intake.room() as room:
        room.take(2 * CHUNK_BYTES)
        async for content in chunks:
            taken: Taken = await intake.submit(
                Body(content, decode, now(request), caller, bearer_token(request)), client=caller.key_id,
                size=len(content), background=True,
            )  # fmt: skip
            _count(taken.outcomes)
            yield taken


def _count(outcomes: Outcomes) -> None:
    for status, count in outcomes.counts().items():
        metrics.EVENTS.labels(status).inc(count)


async def ingest_caller(request: Request) -> Caller:
    """Who sends usage, as remembered where the catalog is what it was: the transaction looks whether it still is.

    Raises NotAuthenticated or NotAllowed.
    """
    token = bearer_token(request)
    callers: KnownCallers = request.app.state.callers
    snapshot = catalog(request).snapshot
    caller = None if snapshot is None else callers.find(token, snapshot.version)
    if caller is None:
        caller = await run_in_threadpool(authenticate, database(request), token)
        callers.remember(token, caller)
    check_scope(caller, "ingest")
    return caller


def _read(body: Body) -> tuple[Post, bool]:
    caller = body.caller
    sent, is_single = body.decode(body.content, caller)
    post = Post(
        sent, body.received_at, caller.tenant_id, caller.known_at,
        lambda connection: check_still_allowed(connection, body.token, caller),
    )  # fmt: skip
    return post, is_single
