"""What every route needs to know: who is calling, the database, the time, the page of a list."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.api.compression import inflated
from app.api.parameters import whole_parameter
from app.domain.callers import Caller
from app.domain.errors import (
    BodyTooSlow,
    InvalidCursor,
    Malformed,
    NotAllowed,
    NotAuthenticated,
    TooLarge,
    UnsupportedMediaType,
)
from app.domain.events import parse_json
from app.domain.ids import parse_public_id
from app.operations.authenticate import authenticate
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database

MAX_CATALOG_BODY_BYTES = 1024 * 1024
MAX_INFLATING = 2
"""How many bodies are inflated at the same time."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold, and the times that operations need to know."""

    max_body_bytes: int
    max_events: int
    future: timedelta
    lease_seconds: int
    payment_terms_days: int
    max_waiting_bytes: int
    body_seconds: int


def limits(request: Request) -> Limits:
    found: Limits = request.app.state.limits
    return found


def catalog(request: Request) -> CatalogCache:
    found: CatalogCache = request.app.state.catalog
    return found


def settle_catalog(request: Request) -> bool:
    """Does what a catalog change left to do, for two seconds at most; a worker goes on with the rest.

    True when nothing is left: then what was posted before the change is counted.
    """
    own = limits(request)
    return run_catalog_jobs(
        database(request), catalog(request), clock=request.app.state.clock, future=own.future,
        lease_seconds=own.lease_seconds, budget_seconds=2,
    )  # fmt: skip


MAX_LIMIT = 1000


def database(request: Request) -> Database:
    found: Database = request.app.state.database
    return found


def now(request: Request) -> datetime:
    clock: Callable[[], datetime] = request.app.state.clock
    return clock()


def require(*scopes: str) -> Callable[[Request], Any]:
    """A dependency that gives the Caller when its key has one of the scopes; 401 without a key, 403 without a scope."""

    async def caller(request: Request) -> Caller:
        found = await run_in_threadpool(authenticate, database(request), bearer_token(request))
        check_scope(found, *scopes)
        return found

    return caller


def bearer_token(request: Request) -> str:
    """The API key that was sent. Raises NotAuthenticated where there is none."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise NotAuthenticated("Send an API key as `Authorization: Bearer <api key>`.")
    try:
        return token.strip().encode("latin-1").decode()  # a header's bytes come as Latin-1, and are UTF-8
    except UnicodeDecodeError:
        return token.strip()


def check_scope(caller: Caller, *scopes: str) -> None:
    if caller.scopes.isdisjoint(scopes):
        raise NotAllowed(f"This API key has no {' or '.join(scopes)} scope.", scope=scopes[0])


def check_unbound(caller: Caller, *, refusal: str) -> None:
    """Raises NotAllowed for a key that is bound to a tenant: `refusal` says what such a key does not do."""
    if caller.tenant_key is not None:
        raise NotAllowed(f"A key that is bound to a tenant {refusal}.")


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of a list: at most `limit` rows after the one that `after` names (None: from the start)."""

    limit: int
    after: str | None


def page(request: Request) -> Page:
    """The page asked for by `limit` and `cursor`."""
    limit = whole_parameter(request, "limit", most=MAX_LIMIT, default=100)
    cursor = request.query_params.get("cursor")
    return Page(limit, None if not cursor else decode_cursor(cursor))


def number_in(after: str, *, digits: int) -> int:
    """The number that a cursor of a list by numbers stands for; it has less than so many digits."""
    if not (after.isascii() and after.isdigit() and len(after) < digits):
        raise InvalidCursor("This cursor was not given out by this list.")
    return int(after)


def encode_cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return raw.decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidCursor("This cursor was not given out by this service.") from error


async def read_body(request: Request, *, limit: int, take: Callable[[int], None] = lambda _size: None) -> bytes:
    """The whole body; `take` is told of each part's size. Raises TooLarge as soon as it is known to be over the limit,
    before the rest is read, and BodyTooSlow where it does not come in time."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"A body may have at most {limit} bytes.", limit_bytes=limit)
    chunks: list[bytes] = []
    size, seconds = 0, limits(request).body_seconds
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit:
                    raise TooLarge(f"A body may have at most {limit} bytes.", limit_bytes=limit)
                take(len(chunk))
                chunks.append(chunk)
    except TimeoutError as error:
        raise BodyTooSlow(f"The body did not come within {seconds} seconds.") from error
    return b"".join(chunks)


def content_encoding(request: Request) -> str:
    """`identity`, or how the body is compressed. Raises UnsupportedMediaType."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "zstd"):
        raise UnsupportedMediaType("A body may be compressed with gzip or zstd, and in no other way.")
    return encoding


async def read_plain_body(request: Request, *, limit: int, take: Callable[[int], None]) -> bytes:
    """The body with its compression undone; the limit holds for what comes and for what it becomes."""
    encoding = content_encoding(request)
    body = await read_body(request, limit=limit, take=take)
    if encoding == "identity":
        return body
    # What a body becomes is known only afterwards: few at a time, so that what nobody has taken room for stays small.
    async with request.app.state.inflating:
        plain = await run_in_threadpool(inflated, body, encoding=encoding, limit=limit)
        take(len(plain))
    return plain


def place_after(prefix: str, page: Page) -> tuple[UUID, UUID] | None:
    """Where a list by public ids goes on: (own id, tenant); None at its beginning. Raises InvalidCursor."""
    if page.after is None:
        return None
    key = parse_public_id(prefix, page.after)
    if key is None:
        raise InvalidCursor("This cursor was not given out by this list.")
    return key[1], key[0]


def media_type(request: Request) -> str:
    """The Content-Type without parameters, in lower case; '' where there is none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request) -> Any:
    """The body as JSON, numbers as exact decimals. Raises UnsupportedMediaType or Malformed."""
    sent = media_type(request)
    if sent and sent != "application/json" and not sent.endswith("+json"):
        raise UnsupportedMediaType("Send the body as application/json.")
    raw = await read_body(request, limit=MAX_CATALOG_BODY_BYTES)
    try:
        return parse_json(raw)
    except (ValueError, RecursionError) as error:
        raise Malformed("The body is not JSON that can be read.", reason=str(error)[:200]) from error
