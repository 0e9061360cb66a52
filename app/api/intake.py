"""What becomes of the bodies that one transaction takes: each decoded by itself, all ingested together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.dependencies import Limits, catalog, check_scope, database
from app.api.group_commit import GroupCommit
from app.domain.callers import Caller
from app.domain.errors import BillingError
from app.operations.authenticate import KnownCallers, authenticate, check_still_allowed
from app.operations.ingest_events import Outcome, Post, ingest_events
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.events import decode_events


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body as it came, and who sent it with which key."""

    content: bytes
    media_type: str
    received_at: datetime
    caller: Caller
    token: str


@dataclass(frozen=True, slots=True)
class Taken:
    """One outcome for each event of a body; `is_single` where the body was one event and no list."""

    outcomes: list[Outcome]
    is_single: bool


Intake = GroupCommit[Body, Taken]


def open_intake(database: Database, cache: CatalogCache, limits: Limits) -> Intake:
    """SQLite has one writer; two transactions of PostgreSQL fill each other's waits."""
    return GroupCommit(
        _writer(database, cache, limits), writers=1 if database.is_sqlite else 2, max_bytes=limits.max_waiting_bytes
    )


def _writer(
    database: Database, cache: CatalogCache, limits: Limits
) -> Callable[[Sequence[Body]], Sequence[Taken | Exception]]:
    def write(bodies: Sequence[Body]) -> Sequence[Taken | Exception]:
        results: list[Taken | Exception | None] = [None] * len(bodies)
        posts: dict[int, tuple[Post, bool]] = {}
        for index, body in enumerate(bodies):
            try:
                posts[index] = _read(body, limits)
            except BillingError as error:
                results[index] = error
        ingested = ingest_events(database, cache, [post for post, _ in posts.values()], future=limits.future)
        for (index, (_, is_single)), found in zip(posts.items(), ingested, strict=True):
            results[index] = found if isinstance(found, BillingError) else Taken(found, is_single)
        return [result for result in results if result is not None]

    return write


def intake_of(request: Request) -> Intake:
    found: Intake = request.app.state.intake
    return found


async def ingest_caller(request: Request, token: str) -> Caller:
    """Who sends usage, as remembered where the catalog is what it was: the transaction looks whether it still is.

    Raises NotAuthenticated or NotAllowed.
    """
    callers: KnownCallers = request.app.state.callers
    snapshot = catalog(request).snapshot
    caller = None if snapshot is None else callers.find(token, snapshot.version)
    if caller is None:
        caller = await run_in_threadpool(authenticate, database(request), token)
        callers.remember(token, caller)
    check_scope(caller, "ingest")
    return caller


def _read(body: Body, limits: Limits) -> tuple[Post, bool]:
    sent, is_single = decode_events(body.content, body.media_type, max_events=limits.max_events)
    caller = body.caller
    post = Post(
        sent, body.received_at, caller.tenant_id, caller.known_at,
        lambda connection: check_still_allowed(connection, body.token, caller),
    )  # fmt: skip
    return post, is_single
