"""Where messages are posted, and what became of each. For administrators; a key that is bound to a tenant reads what is
that tenant's, and changes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import (
    MAX_LIMIT,
    Page,
    check_unbound,
    database,
    encode_cursor,
    json_body,
    now,
    page,
    place_after,
    require,
)  # fmt: skip
from app.api.document import (
    ETAG,
    IF_MATCH,
    JSON,
    MERGE_PATCH,
    Answer,
    described,
    limit_and_cursor,
    link,
    path_parameter,
    query_parameter,
)  # fmt: skip
from app.api.parameters import choice_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import FILTER_TEXT, KEY, one_of, ref
from app.api.schemas_webhooks import DELIVERY_ID
from app.domain.callers import Caller
from app.domain.deliveries import STATUSES
from app.domain.errors import InvalidCursor, PreconditionFailed
from app.domain.ids import parse_public_id
from app.domain.webhooks import EVENT_TYPES, TEST_TYPE
from app.operations.catalog_change import check_precondition
from app.operations.put_endpoint import PutEndpoint, delete_endpoint, put_endpoint, rotate_secret
from app.operations.replay_messages import replay_messages, send_test
from app.operations.show_webhooks import find_delivery, find_endpoint, list_deliveries, list_endpoints
from app.outbound.destinations import Destinations
from app.storage.outbox_store import DeliveryFilter
from app.wire.parsing import key_problem
from app.wire.shown import Shown, etag_of, patched
from app.wire.webhooks import definition, delivery_to_wire, endpoint_from_wire, endpoint_to_wire, replay_from_wire

router = Router(prefix="/v1", tags=["webhooks"])

_PATCH_ATTEMPTS = 5
_TYPES = (*EVENT_TYPES, TEST_TYPE)
_ENDPOINT = path_parameter("key", KEY, "erp")
_FORMER = path_parameter("key", KEY, "former-erp")


def _destinations(request: Request) -> Destinations:
    found: Destinations = request.app.state.destinations
    return found


_check_may_write = partial(check_unbound, refusal="does not change webhooks")


def _answer(made: PutEndpoint, status: int = 200) -> Response:
    shown = endpoint_to_wire(made.stored)
    tag = etag_of(definition(shown))
    return json_answer(shown if made.secret is None else shown | {"secret": made.secret}, status, {"ETag": tag})


def _one(description: str) -> Answer:
    key = "$response.body#/key"
    return Answer(description, ref("WebhookEndpoint"), headers=ETAG, links={
        "get": link("get_webhook_endpoint", "The endpoint again.", path__key=key),
        "deliveries": link("get_webhook_deliveries", "What was delivered to it.", query__endpoint=key),
        "patch": link("patch_webhook_endpoint", "Change it as it is now.", path__key=key,
                      header__If_match="$response.header.ETag"),
        "rotate": link("post_webhook_rotation", "Give it a new secret.", path__key=key),
        "test": link("post_webhook_test", "Send it a test message.", path__key=key),
        "replay": link("post_webhook_replay", "Deliver messages to it once more.", path__key=key),
    })  # fmt: skip


@router.get(
    "/webhook-endpoints",
    **described(
        "admin",
        {200: Answer("A page of endpoints", ref("WebhookEndpoints"), links={
            "first": link("get_webhook_endpoint", "The first of them.", path__key="$response.body#/data/0/key"),
            "next": link("get_webhook_endpoints", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 422, parameters=limit_and_cursor(MAX_LIMIT),
    ),
)  # fmt: skip
async def get_webhook_endpoints(
    request: Request, caller: Caller = Depends(require("admin")), page: Page = Depends(page)
) -> Response:
    """A page of endpoints, by key."""
    known_parameters(request, "limit", "cursor")
    if page.after is not None and key_problem(page.after) is not None:
        raise InvalidCursor("This cursor was not given out by this list.")

    def work() -> dict[str, Any]:
        found = list_endpoints(database(request), caller, after=page.after, limit=page.limit + 1)
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1].endpoint.key) if len(found) > page.limit else None
        return {"data": [endpoint_to_wire(stored) for stored in shown], "next_cursor": cursor}

    return json_answer(await run_in_threadpool(work))


@router.get("/webhook-endpoints/{key}", **described("admin", {200: _one("The endpoint")}, 404, parameters=[_ENDPOINT]))
async def get_webhook_endpoint(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """One endpoint. Its secret is not told again."""
    return _answer(PutEndpoint(await run_in_threadpool(find_endpoint, database(request), key, caller)))


@router.put(
    "/webhook-endpoints/{key}",
    **described(
        "admin", {200: _one("It was there, and is as wanted"), 201: _one("It is new; this once with its secret")},
        412, 422, body={JSON: ref("WebhookEndpointSent")}, parameters=[_ENDPOINT, IF_MATCH],
    ),
)  # fmt: skip
async def put_webhook_endpoint(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Makes or replaces an endpoint; repeating it changes nothing. A new one is answered with its `secret`, this
    once."""
    _check_may_write(caller)
    body, if_match, at = await json_body(request), request.headers.get("if-match"), now(request)

    def work() -> Response:
        wish = endpoint_from_wire(key, body, allowed=_destinations(request))
        made = put_endpoint(database(request), wish, now=at, if_match=if_match)
        return _answer(made, 200 if made.secret is None else 201)

    return await run_in_threadpool(work)


@router.patch(
    "/webhook-endpoints/{key}",
    **described(
        "admin", {200: _one("The endpoint as it is now")}, 404, 412, 422,
        body={MERGE_PATCH: ref("WebhookEndpointPatch")}, parameters=[_ENDPOINT, IF_MATCH],
    ),
)  # fmt: skip
async def patch_webhook_endpoint(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Changes single fields of an endpoint (RFC 7396, merge patch). One that is enabled again is sent what waits for
    it."""
    _check_may_write(caller)
    body, if_match = await json_body(request), request.headers.get("if-match")

    def work() -> Response:
        for attempt in range(1, _PATCH_ATTEMPTS + 1):
            before: Shown = endpoint_to_wire(find_endpoint(database(request), key, caller))
            check_precondition(if_match, definition(before))
            wish = endpoint_from_wire(key, patched(before, body), allowed=_destinations(request))
            try:
                tag = etag_of(definition(before))
                return _answer(put_endpoint(database(request), wish, now=now(request), if_match=tag))
            except PreconditionFailed:
                if attempt == _PATCH_ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    return await run_in_threadpool(work)


@router.delete(
    "/webhook-endpoints/{key}", **described("admin", {204: Answer("It is gone.")}, 404, parameters=[_FORMER])
)
async def delete_webhook_endpoint(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Takes an endpoint away, with the log of its deliveries. Nothing more is sent to it."""
    _check_may_write(caller)
    await run_in_threadpool(delete_endpoint, database(request), key)
    return Response(status_code=204)


@router.post(
    "/webhook-endpoints/{key}/rotate",
    **described("admin", {200: _one("The endpoint, this once with its new secret")}, 404, parameters=[_ENDPOINT]),
)
async def post_webhook_rotation(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """A new secret. For a day messages are signed with the old one too."""
    _check_may_write(caller)
    return _answer(await run_in_threadpool(rotate_secret, database(request), key, now=now(request)))


@router.post(
    "/webhook-endpoints/{key}/test",
    **described(
        "admin",
        {202: Answer("Its delivery, which goes on by itself", ref("WebhookDelivery"), links={
            "delivery": link("get_webhook_delivery", "What became of it.", path__id="$response.body#/id")})},
        404, 409, parameters=[_ENDPOINT],
    ),
)  # fmt: skip
async def post_webhook_test(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Sends a test message to an endpoint, whatever it hears otherwise."""
    _check_may_write(caller)

    def work() -> dict[str, Any]:
        stored = find_endpoint(database(request), key, caller)
        delivery = send_test(database(request), stored, now=now(request))
        return delivery_to_wire(delivery, endpoint=key, tenant=stored.endpoint.tenant)

    return json_answer(await run_in_threadpool(work), 202)


@router.post(
    "/webhook-endpoints/{key}/replay",
    **described(
        "admin", {202: Answer("How many messages are delivered once more", ref("WebhookReplay"))}, 404, 409, 422,
        body={JSON: ref("WebhookReplaySent")}, parameters=[_ENDPOINT],
    ),
)  # fmt: skip
async def post_webhook_replay(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Delivers kept messages to an endpoint once more, under the ids that they have: what it missed, too."""
    _check_may_write(caller)
    body = await json_body(request)

    def work() -> int:
        stored = find_endpoint(database(request), key, caller)
        return replay_messages(database(request), stored, replay_from_wire(body), now=now(request))

    return json_answer({"queued": await run_in_threadpool(work)}, 202)


@router.get(
    "/webhook-deliveries",
    **described(
        "admin",
        {200: Answer("A page of deliveries", ref("WebhookDeliveries"), links={
            "first": link("get_webhook_delivery", "The first, with its payload.",
                          path__id="$response.body#/data/0/id"),
            "next": link("get_webhook_deliveries", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            query_parameter("endpoint", FILTER_TEXT, "An endpoint's key."),
            {"name": "status", "in": "query", "schema": one_of(STATUSES), "description": "How it stands."},
            {"name": "type", "in": "query", "schema": one_of(_TYPES), "description": "The type of message."},
            query_parameter("message", FILTER_TEXT, "The id of a message."),
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_webhook_deliveries(
    request: Request, caller: Caller = Depends(require("admin")), page: Page = Depends(page)
) -> Response:
    """What was delivered, is to be, and could not be: the newest first, each with its tries."""
    known_parameters(request, "endpoint", "status", "type", "message", "cursor", "limit")

    def work() -> dict[str, Any]:
        wanted = DeliveryFilter(
            "webhook", status=choice_parameter(request, "status", STATUSES),  # type: ignore[arg-type]
            type=choice_parameter(request, "type", _TYPES),
        )  # fmt: skip
        message = text_parameter(request, "message")
        if message is not None:
            key = parse_public_id("msg", message)
            if key is None:
                return {"data": [], "next_cursor": None}
            wanted = replace(wanted, message=key)
        found = list_deliveries(
            database(request), caller, wanted, endpoint=text_parameter(request, "endpoint"),
            before=place_after("dlv", page), limit=page.limit + 1,
        )  # fmt: skip
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1]["id"]) if len(found) > page.limit else None
        return {"data": shown, "next_cursor": cursor}

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/webhook-deliveries/{id}",
    **described(
        "admin", {200: Answer("The delivery, with what it sends", ref("WebhookDelivery"))}, 404,
        parameters=[path_parameter("id", DELIVERY_ID)],
    ),
)  # fmt: skip
async def get_webhook_delivery(id: str, request: Request, caller: Caller = Depends(require("admin"))) -> Response:
    """One delivery, with the payload that it sends."""
    shown, payload = await run_in_threadpool(find_delivery, database(request), id, caller)
    return json_answer(shown | {"payload": msgspec.Raw(payload.encode())})
