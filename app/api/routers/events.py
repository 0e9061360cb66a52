"""Posting usage events, reading them back, cancelling one, and what lies in quarantine."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.backfill import Summary, chunks
from app.api.dependencies import (
    MAX_LIMIT,
    Page,
    catalog,
    database,
    encode_cursor,
    json_body,
    limits,
    media_type,
    now,
    page,
    require,
    settle_catalog,
)  # fmt: skip
from app.api.document import JSON, Answer, described, limit_and_cursor, link, query_parameter
from app.api.intake import ingest_caller, take_chunks, take_usage
from app.api.outcomes import exception, named, rejection, summary
from app.api.parameters import choice_parameter, instant_parameter, known_parameters, text_parameter
from app.api.problems import problem_answer
from app.api.routing import Router
from app.api.schemas import DAY_OR_INSTANT, FILTER_TEXT, one_of, ref
from app.domain.callers import Caller
from app.domain.errors import BillingError, InvalidCursor, NotFound, UnsupportedMediaType
from app.domain.events import QUARANTINE_REASONS, instant_text, parse_instant
from app.operations.cancel_event import Cancelling, cancel_event
from app.operations.list_events import EventFilter, list_events, list_quarantine
from app.operations.list_jobs import find_job, job_to_wire
from app.operations.release_quarantine import start_release
from app.operations.resolve_tenant import resolve_tenant
from app.storage.event_lists import Place
from app.wire.events import BATCH, NDJSON, SINGLE, Sent, decode_events, event_to_wire, structured_from_binary
from app.wire.requests import cancellation_from_wire, release_from_wire

router = Router(prefix="/v1", tags=["events"])

_EVENT_BODIES = {
    SINGLE: ref("EventSent"), BATCH: ref("EventsSent"), JSON: {"anyOf": [ref("EventSent"), ref("EventsSent")]},
    NDJSON: ref("EventLines"),
}  # fmt: skip
_PAGE = limit_and_cursor(MAX_LIMIT)


@router.post(
    "/events",
    **described(
        "ingest",
        {200: Answer("What became of each event. A single one that is rejected is answered 400.", ref("Ingested"))},
        429, body=_EVENT_BODIES,
    ),
)  # fmt: skip
async def post_events(request: Request) -> Response:
    """Keeps and counts usage events (CloudEvents 1.0), each once; answers for every one, after its commit."""
    taken = await take_usage(request, partial(_decode, request))
    only = taken.outcomes.exceptions.get(0) if taken.is_single else None
    if only is not None and only.status == "rejected":
        return problem_answer(request, 400, rejection(only, ""))
    return json_answer(summary(taken.outcomes))


def _decode(request: Request, content: bytes, _caller: Caller) -> tuple[Sent, bool]:
    type_sent = media_type(request)
    if "ce-specversion" in request.headers and not type_sent.startswith("application/cloudevents"):
        content, type_sent = structured_from_binary(request.headers.items(), type_sent, content), SINGLE
    return decode_events(content, type_sent, max_events=limits(request).max_events)


@router.post(
    "/events/bulk",
    **described(
        "ingest",
        {200: Answer("What became of all of them, and the first exceptions.", ref("IngestedInBulk"))},
        408, 429, body={NDJSON: ref("EventLines")},
    ),
)  # fmt: skip
async def post_bulk(request: Request) -> Response:
    """Keeps and counts events by the million, one a line, a chunk at a time and after whatever else is sent.

    The body is read as fast as it is worked off. Of one that broke off, or that was refused on its way, the events
    before that point are kept (`events` says how many): send it again, and they are duplicates.
    """
    caller = await ingest_caller(request)
    if media_type(request) != NDJSON:
        raise UnsupportedMediaType(f"Events in bulk come as {NDJSON}, one a line.")
    so_far = Summary()
    try:
        async for taken in take_chunks(request, caller, chunks(request, limits(request)), partial(_decode, request)):
            so_far.add(taken.outcomes, exception)
    except BillingError as error:
        error.facts["events"] = so_far.events
        raise
    return json_answer(named(so_far.counts) | {"exceptions": so_far.exceptions, "not_listed": so_far.not_listed})


_SAME_EVENT = {"tenant": "$response.body#/data/0/tenant", "source": "$response.body#/data/0/source",
               "id": "$response.body#/data/0/id"}  # fmt: skip


@router.get(
    "/events",
    **described(
        "read",
        {200: Answer("A page of events", ref("Events"), links={
            "cancel": link("post_cancellation", "The first of them counted no more.") | {"requestBody": _SAME_EVENT},
            "next": link("get_events", "The next page.", query__cursor="$response.body#/next_cursor"),
        })},
        400, 404, 422,
        parameters=[
            query_parameter("tenant", FILTER_TEXT, "A tenant's key."),
            query_parameter("type", FILTER_TEXT, "The event type."),
            query_parameter("resource", FILTER_TEXT, "A resource's key."),
            query_parameter("start", DAY_OR_INSTANT, "The first time; a date is its midnight in UTC."),
            query_parameter("end", DAY_OR_INSTANT, "The first time outside."),
            *_PAGE,
        ],
    ),
)  # fmt: skip
async def get_events(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Kept events, tenant by tenant and each tenant's by time, cancelled ones included.

    A page looks at a bounded number of events. Where few of them are wanted it may hold fewer than `limit`, even none:
    the list ends where `next_cursor` is null.
    """
    known_parameters(request, "tenant", "type", "resource", "start", "end", "cursor", "limit")
    tenant = text_parameter(request, "tenant")
    if caller.tenant_key is not None:
        if tenant not in (None, caller.tenant_key):
            raise NotFound(f"There is no tenant {tenant!r}.")
        tenant = caller.tenant_key
    wanted = EventFilter(
        tenant, text_parameter(request, "type"), text_parameter(request, "resource"),
        instant_parameter(request, "start"), instant_parameter(request, "end"),
    )  # fmt: skip
    after = None if page.after is None else _event_place(page.after)
    rows, place = await run_in_threadpool(list_events, database(request), wanted, after=after, limit=page.limit)
    data = []
    for stored, key in rows:
        row = event_to_wire(stored.event) | {"tenant": key, "received_at": instant_text(stored.received_at)}
        if stored.cancelled_at is not None:
            row["cancelled_at"] = instant_text(stored.cancelled_at)
        data.append(row)
    cursor = None if place is None else _cursor_of(place)
    return json_answer({"data": data, "next_cursor": cursor})


def _cursor_of(place: Place) -> str:
    tenant_id, at, identity = place
    return encode_cursor(f"{tenant_id.hex} {instant_text(at)} {identity.hex()}")


def _event_place(text: str) -> Place:
    try:
        tenant, at, identity = text.split(" ")
        return UUID(tenant), parse_instant(at), UUID(identity).bytes
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


@router.post(
    "/events/cancellations",
    **described(
        "finance",
        {200: Answer("The event, cancelled, and its replacement", ref("CancelledEvent"))},
        404, 409, 422, 503, body={JSON: ref("Cancellation")},
    ),
)  # fmt: skip
async def post_cancellation(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Counts an event no more, and its `replacement`, if there is one, in its place. Both stay; what was billed
    otherwise is corrected by the next billing run. The same request again changes nothing and has the same answer."""
    sent = cancellation_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        tenant = resolve_tenant(database(request), sent.tenant, caller)
        wanted = Cancelling(tenant.tenant_id, sent.source, sent.id, sent.reason, sent.replacement, caller.tenant_id)
        done = cancel_event(
            database(request), catalog(request), wanted, now=now(request), future=limits(request).future
        )
        answer = event_to_wire(done.stored.event) | {
            "tenant": sent.tenant, "received_at": instant_text(done.stored.received_at),
            "cancelled_at": instant_text(done.cancelled_at), "reason": sent.reason,
        }  # fmt: skip
        if sent.replacement is not None and done.replaced_at is not None:
            kept = event_to_wire(sent.replacement) | {"received_at": instant_text(done.replaced_at)}
            answer["replacement"] = kept
        return answer

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/quarantine",
    **described(
        "read",
        {200: Answer("A page of them", ref("Quarantined"), links={
            "release": link("post_release", "Try those of the first one's reason again.")
            | {"requestBody": {"reason": "$response.body#/data/0/reason"}},
            "next": link("get_quarantine", "The next page.", query__cursor="$response.body#/next_cursor"),
        })},
        400, 422,
        parameters=[
            {"name": "reason", "in": "query", "schema": one_of(QUARANTINE_REASONS), "description": "Why."}, *_PAGE,
        ],
    ),
)  # fmt: skip
async def get_quarantine(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Events set aside, with their reason, in order of arrival."""
    known_parameters(request, "reason", "cursor", "limit")
    reason = choice_parameter(request, "reason", QUARANTINE_REASONS)
    rows = await run_in_threadpool(
        list_quarantine, database(request), reason=reason, tenant_id=caller.tenant_id,
        after=None if page.after is None else _quarantine_position(page.after), limit=page.limit + 1,
    )  # fmt: skip
    shown, more = rows[: page.limit], len(rows) > page.limit
    data = [
        event_to_wire(row.event)
        | {"reason": row.reason, "detail": row.detail, "received_at": instant_text(row.received_at)}
        for row in shown
    ]
    cursor = encode_cursor(f"{instant_text(shown[-1].received_at)} {shown[-1].quarantine_id.hex}") if more else None
    return json_answer({"data": data, "next_cursor": cursor})


def _quarantine_position(text: str) -> Any:
    try:
        at, key = text.split(" ")
        return parse_instant(at), UUID(key)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error


@router.post(
    "/quarantine/releases",
    **described(
        "admin",
        {202: Answer("The job", ref("Job"), links={
            "job": link("get_job", "How far it is.", path__id="$response.body#/id")})},
        422, body={JSON: ref("Release")},
    ),
)  # fmt: skip
async def post_release(request: Request, caller: Caller = Depends(require("admin"))) -> Response:
    """Tries quarantined events again, as a job; small ones are done when this answers."""
    reason = release_from_wire(await json_body(request))

    def work() -> dict[str, Any]:
        job_id = start_release(database(request), reason=reason, tenant_id=caller.tenant_id, now=now(request))
        settle_catalog(request)
        job = find_job(database(request), job_id)
        assert job is not None
        return job_to_wire(job)

    return json_answer(await run_in_threadpool(work), 202)
