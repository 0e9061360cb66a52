"""Coupons that were applied: to a subscription, or to all subscriptions of a tenant. The coupons are the catalog's."""

from __future__ import annotations

from functools import partial
from typing import Any

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
)
from app.api.document import JSON, Answer, described, limit_and_cursor, link, path_parameter, query_parameter
from app.api.parameters import known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import APPLIED_COUPON_ID, FILTER_TEXT, ref
from app.domain.callers import Caller
from app.operations import apply_coupon
from app.operations.resolve_tenant import resolve_tenant
from app.wire.coupons import application_from_wire

router = Router(prefix="/v1", tags=["credit"])

_APPLIED = path_parameter("id", APPLIED_COUPON_ID)


def _links(source: str) -> dict[str, Any]:
    return {
        "applied": link("get_applied_coupon", "What became of it.", path__id=source),
        "end": link("post_applied_coupon_end", "End it.", path__id=source),
    }


_check_unbound = partial(check_unbound, refusal="does not apply or end coupons")


@router.post(
    "/applied-coupons",
    **described(
        "finance",
        {201: Answer("The application", ref("AppliedCoupon"), links=_links("$response.body#/id"))},
        409, 422, body={JSON: ref("AppliedCouponSent")},
    ),
)  # fmt: skip
async def post_applied_coupon(request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Applies a coupon, as it is now, to a subscription or to all subscriptions of a tenant."""
    _check_unbound(caller)
    wish = application_from_wire(await json_body(request))
    made = await run_in_threadpool(apply_coupon.apply_coupon, database(request), wish, now=now(request))
    return json_answer(made, 201)


@router.get(
    "/applied-coupons",
    **described(
        "read",
        {200: Answer("A page of applications", ref("AppliedCoupons"), links=_links("$response.body#/data/0/id") | {
            "next": link("get_applied_coupons", "The next page.", query__cursor="$response.body#/next_cursor")})},
        400, 404, 422,
        parameters=[
            query_parameter("tenant", FILTER_TEXT, "A tenant's key."),
            query_parameter("coupon", FILTER_TEXT, "A coupon's key."),
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_applied_coupons(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Applied coupons in order of their making."""
    known_parameters(request, "tenant", "coupon", "cursor", "limit")

    def work() -> Response:
        key = text_parameter(request, "tenant")
        tenant_id = caller.sees_only
        if key is not None:
            tenant_id = resolve_tenant(database(request), key, caller).tenant_id
        found = apply_coupon.list_applications(
            database(request), tenant_id=tenant_id, coupon=text_parameter(request, "coupon"),
            after=place_after("ac", page), limit=page.limit + 1,
        )  # fmt: skip
        shown = found[: page.limit]
        cursor = encode_cursor(shown[-1]["id"]) if len(found) > page.limit else None
        return json_answer({"data": shown, "next_cursor": cursor})

    return await run_in_threadpool(work)


@router.get(
    "/applied-coupons/{id}",
    **described("read", {200: Answer("The application", ref("AppliedCoupon"))}, 404, parameters=[_APPLIED]),
)
async def get_applied_coupon(id: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """One applied coupon, with the invoices that used it."""
    return json_answer(await run_in_threadpool(apply_coupon.show_application, database(request), id, caller))


@router.post(
    "/applied-coupons/{id}/end",
    **described(
        "finance", {200: Answer("The application, which is over", ref("AppliedCoupon"))}, 404, parameters=[_APPLIED]
    ),
)
async def post_applied_coupon_end(id: str, request: Request, caller: Caller = Depends(require("finance"))) -> Response:
    """Ends an applied coupon: it lowers no further invoice."""
    _check_unbound(caller)
    return json_answer(await run_in_threadpool(apply_coupon.end_coupon, database(request), id, now=now(request)))
