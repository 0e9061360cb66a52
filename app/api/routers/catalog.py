"""Tenants, resources, meters, tax rates, plans, subscriptions and alerts: read, put, patched and listed in one way.

A key bound to a tenant reads that tenant, its resources and subscriptions, and what is published for all; it changes
nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool

from app.api.dependencies import (
    MAX_LIMIT,
    Page,
    check_unbound,
    database,
    encode_cursor,
    json_body,
    now,
    number_in,
    page,
    require,
    settle_catalog,
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
from app.api.parameters import known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import FILTER_TEXT, KEY, ref
from app.domain.callers import Caller
from app.domain.errors import InvalidCursor, NotFound, PreconditionFailed
from app.operations import show_catalog
from app.operations.catalog_change import Saved, check_precondition, found_or_missing
from app.operations.change_plan import change_plan
from app.operations.list_late_usage import late_usage_of
from app.operations.publish_plan import publish_plan
from app.operations.put_alert import put_alert
from app.operations.put_coupon import put_coupon
from app.operations.put_exchange_rate import put_exchange_rate
from app.operations.put_meter import put_meter
from app.operations.put_plan import put_plan
from app.operations.put_resource import put_resource
from app.operations.put_subscription import put_subscription
from app.operations.put_tax_rate import put_tax_rate
from app.operations.put_tenant import put_tenant
from app.storage.database import Database
from app.wire.alerts import alert_from_wire
from app.wire.coupons import coupon_from_wire
from app.wire.exchange_rates import exchange_rate_from_wire
from app.wire.meters import meter_from_wire
from app.wire.parsing import key_problem
from app.wire.plans import plan_from_wire, publication_from_wire
from app.wire.resources import resource_from_wire
from app.wire.shown import Shown, etag_of, patched, shown_json
from app.wire.subscriptions import change_from_wire, subscription_from_wire
from app.wire.tax_rates import tax_rate_from_wire
from app.wire.tenants import tenant_from_wire

router = Router(prefix="/v1", tags=["catalog"])

_PATCH_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Sent:
    """What a PUT came with."""

    key: str
    body: Any
    now: datetime
    if_match: str | None


@dataclass(frozen=True, slots=True)
class Noun:
    """One kind of object: how one, and a page of them, is shown to a caller, and how one is put.

    `shape` names its schemas, `example` a key of one, `links` what else can be asked of one.
    """

    name: str
    shape: str
    example: str
    show: Callable[[Connection, str, Caller], Shown | None]
    list: Callable[[Connection, Page, Caller, dict[str, str]], list[Shown]]
    put: Callable[[Database, Sent], Saved]
    filters: tuple[str, ...] = ()
    conflicts: bool = False
    links: Mapping[str, Any] = field(default_factory=dict)


# --- the one way -----------------------------------------------------------------------------------------------------


def _answer(shown: Shown, status: int = 200) -> Response:
    return Response(shown_json(shown), status, headers={"ETag": etag_of(shown)}, media_type="application/json")


def _show(request: Request, noun: Noun, key: str, caller: Caller) -> Shown:
    found = None
    if key_problem(key) is None:
        found = database(request).read(lambda connection: noun.show(connection, key, caller))
    return found_or_missing(found, noun.name, key)


def _settled(request: Request, noun: Noun, saved: Saved, caller: Caller) -> Response:
    """The object as it is once what its change left to do is done, or under way."""
    shown = saved.after
    if saved.left_jobs:
        settle_catalog(request)
        shown = _show(request, noun, shown["key"], caller)
    return _answer(shown, 201 if saved.created else 200)


_check_may_write = partial(check_unbound, refusal="does not change the catalog")


def _page(request: Request, noun: Noun, caller: Caller, page: Page) -> Response:
    known_parameters(request, "limit", "cursor", *noun.filters)
    filters = {name: text for name in noun.filters if (text := text_parameter(request, name)) is not None}
    if page.after is not None and key_problem(page.after) is not None:
        raise InvalidCursor("This cursor was not given out by this list.")
    asked = Page(page.limit + 1, page.after)
    rows = database(request).read(lambda connection: noun.list(connection, asked, caller, filters))
    shown = rows[: page.limit]
    cursor = encode_cursor(shown[-1]["key"]) if len(rows) > page.limit else None
    return Response(shown_json({"data": shown, "next_cursor": cursor}), media_type="application/json")


def _patch(request: Request, noun: Noun, sent: Sent, caller: Caller) -> Response:
    """Puts the object with the patch applied, and begins anew where it was changed in between."""
    for attempt in range(1, _PATCH_ATTEMPTS + 1):
        before = _show(request, noun, sent.key, caller)
        check_precondition(sent.if_match, before)
        changed = Sent(sent.key, patched(before, sent.body), sent.now, etag_of(before))
        try:
            return _settled(request, noun, noun.put(database(request), changed), caller)
        except PreconditionFailed:
            if attempt == _PATCH_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _add_routes(path: str, noun: Noun) -> None:
    """GET, PUT and PATCH of one, and GET of a page."""

    async def put(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
        _check_may_write(caller)
        sent = Sent(key, await json_body(request), now(request), request.headers.get("if-match"))

        def work() -> Response:
            return _settled(request, noun, noun.put(database(request), sent), caller)

        return await run_in_threadpool(work)

    async def patch(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
        _check_may_write(caller)
        sent = Sent(key, await json_body(request), now(request), request.headers.get("if-match"))
        return await run_in_threadpool(_patch, request, noun, sent, caller)

    async def get(request: Request, key: str, caller: Caller = Depends(require("read"))) -> Response:
        return _answer(await run_in_threadpool(_show, request, noun, key, caller))

    async def get_page(
        request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
    ) -> Response:
        return await run_in_threadpool(_page, request, noun, caller, page)

    name = noun.name.replace(" ", "_")
    for method, endpoint, address, summary, facts in (
        ("GET", get_page, path, f"A page of {noun.name}s, by key", _page_described(noun)),
        ("GET", get, f"{path}/{{key}}", f"One {noun.name}", _get_described(noun)),
        ("PUT", put, f"{path}/{{key}}", f"Make or replace a {noun.name}; repeating it changes nothing",
         _put_described(noun)),
        ("PATCH", patch, f"{path}/{{key}}", f"Change single fields of a {noun.name} (RFC 7396, merge patch)",
         _patch_described(noun)),
    ):  # fmt: skip
        router.add_api_route(
            address, endpoint, methods=[method], summary=summary, name=f"{endpoint.__name__}_{name}",
            operation_id=f"{endpoint.__name__}_{name}", **facts,
        )  # fmt: skip


# --- what the document says of them ----------------------------------------------------------------------------------


def _one(noun: Noun, description: str) -> Answer:
    name, source = noun.name.replace(" ", "_"), "$response.body#/key"
    tag = "$response.header.ETag"
    again = {
        "get": link(f"get_{name}", "The object again.", path__key=source),
        "patch": link(f"patch_{name}", "Change it as it is now.", path__key=source, header__If_match=tag),
    }
    return Answer(description, ref(noun.shape), headers=ETAG, links=again | dict(noun.links))


def _key(noun: Noun) -> dict[str, Any]:
    return path_parameter("key", KEY, noun.example)


def _page_described(noun: Noun) -> dict[str, Any]:
    name = noun.name.replace(" ", "_")
    links = {
        "first": link(f"get_{name}", "The first of them.", path__key="$response.body#/data/0/key"),
        "next": link(f"get_page_{name}", "The next page.", query__cursor="$response.body#/next_cursor"),
    }
    filters = [query_parameter(item, FILTER_TEXT, f"The key of a {item}.") for item in noun.filters]
    missing = [404] if "tenant" in noun.filters else []
    return described(
        "read", {200: Answer("A page of them", ref(f"{noun.shape}s"), links=links)}, 400, 422, *missing,
        parameters=[*filters, *limit_and_cursor(MAX_LIMIT)],
    )  # fmt: skip


def _get_described(noun: Noun) -> dict[str, Any]:
    return described("read", {200: _one(noun, "The object")}, 404, parameters=[_key(noun)])


def _put_described(noun: Noun) -> dict[str, Any]:
    answers = {200: _one(noun, "It was there, and is as wanted"), 201: _one(noun, "It is new")}
    return described(
        "admin", answers, 404, 412, 422, *_conflicts(noun), body={JSON: ref(f"{noun.shape}Sent")},
        parameters=[_key(noun), IF_MATCH],
    )  # fmt: skip


def _patch_described(noun: Noun) -> dict[str, Any]:
    """The body may come as application/json too."""
    return described(
        "admin", {200: _one(noun, "The object as it is now")}, 404, 412, 422, *_conflicts(noun),
        body={MERGE_PATCH: ref(f"{noun.shape}Patch")}, parameters=[_key(noun), IF_MATCH],
    )  # fmt: skip


def _conflicts(noun: Noun) -> list[int]:
    return [409] if noun.conflicts else []


# --- the nouns -------------------------------------------------------------------------------------------------------


def _list_subscriptions(connection: Connection, page: Page, caller: Caller, filters: dict[str, str]) -> list[Shown]:
    return show_catalog.list_subscriptions(
        connection, after=page.after, limit=page.limit, tenant_id=_tenant_id(connection, caller, filters),
        plan=filters.get("plan"),
    )  # fmt: skip


def _list_alerts(connection: Connection, page: Page, caller: Caller, filters: dict[str, str]) -> list[Shown]:
    return show_catalog.list_alerts(
        connection, after=page.after, limit=page.limit, tenant_id=_tenant_id(connection, caller, filters),
        plan=filters.get("plan"),
    )  # fmt: skip


def _tenant_id(connection: Connection, caller: Caller, filters: dict[str, str]) -> UUID | None:
    """The tenant that the list is narrowed to: the one asked for, or the caller's own."""
    key = filters.get("tenant")
    if key is None:
        return caller.tenant_id
    if caller.tenant_key not in (None, key):
        raise NotFound(f"There is no tenant {key!r}.", key=key)
    return show_catalog.tenant_id_of(connection, key)


def _show_tenant(connection: Connection, key: str, caller: Caller) -> Shown | None:
    return show_catalog.show_tenant(connection, key) if caller.tenant_key in (None, key) else None


def _show_resource(connection: Connection, key: str, caller: Caller) -> Shown | None:
    shown = show_catalog.show_resource(connection, key)
    return shown if shown is not None and caller.tenant_key in (None, shown["owner"]) else None


_OWN_KEY = "$response.body#/key"
TENANTS = Noun(
    "tenant", "Tenant", "acme", _show_tenant,
    lambda connection, page, caller, _: show_catalog.list_tenants(
        connection, after=page.after, limit=page.limit, only=caller.tenant_key
    ),
    lambda db, sent: put_tenant(db, tenant_from_wire(sent.key, sent.body), now=sent.now, if_match=sent.if_match),
    conflicts=True,
    links={
        "subscriptions": link("get_page_subscription", "Its subscriptions.", query__tenant=_OWN_KEY),
        "events": link("get_events", "Its events.", query__tenant=_OWN_KEY),
        "invoices": link("get_invoices", "Its invoices.", query__buyer=_OWN_KEY),
        "preview": link("get_preview", "Its open period so far.", path__key=_OWN_KEY),
        "balance": link("get_balance", "Where it stands in a meter.", path__key=_OWN_KEY, query__meter="energy"),
    },
)  # fmt: skip
RESOURCES = Noun(
    "resource", "Resource", "charger-12", _show_resource,
    lambda connection, page, caller, _: show_catalog.list_resources(
        connection, after=page.after, limit=page.limit, owner_id=caller.tenant_id
    ),
    lambda db, sent: put_resource(db, resource_from_wire(sent.key, sent.body), now=sent.now, if_match=sent.if_match),
)  # fmt: skip
METERS = Noun(
    "meter", "Meter", "energy", lambda connection, key, _: show_catalog.show_meter(connection, key),
    lambda connection, page, *_: show_catalog.list_meters(connection, after=page.after, limit=page.limit),
    lambda db, sent: put_meter(db, meter_from_wire(sent.key, sent.body), now=sent.now, if_match=sent.if_match),
    conflicts=True, links={"usage": link("get_usage", "What it has measured.", query__meter=_OWN_KEY)},
)  # fmt: skip
TAX_RATES = Noun(
    "tax rate", "TaxRate", "standard", lambda connection, key, _: show_catalog.show_tax_rate(connection, key),
    lambda connection, page, *_: show_catalog.list_tax_rates(connection, after=page.after, limit=page.limit),
    lambda db, sent: put_tax_rate(db, tax_rate_from_wire(sent.key, sent.body), if_match=sent.if_match),
)  # fmt: skip
EXCHANGE_RATES = Noun(
    "exchange rate", "ExchangeRate", "usd-2026-11-02",
    lambda connection, key, _: show_catalog.show_exchange_rate(connection, key),
    lambda connection, page, *_: show_catalog.list_exchange_rates(connection, after=page.after, limit=page.limit),
    lambda db, sent: put_exchange_rate(db, exchange_rate_from_wire(sent.key, sent.body), if_match=sent.if_match),
)  # fmt: skip
COUPONS = Noun(
    "coupon", "Coupon", "welcome", lambda connection, key, _: show_catalog.show_coupon(connection, key),
    lambda connection, page, *_: show_catalog.list_coupons(connection, after=page.after, limit=page.limit),
    lambda db, sent: put_coupon(db, coupon_from_wire(sent.key, sent.body), if_match=sent.if_match),
    links={"applied": link("get_applied_coupons", "To whom it was applied.", query__coupon=_OWN_KEY)},
)  # fmt: skip
PLANS = Noun(
    "plan", "Plan", "standard",
    lambda connection, key, caller: show_catalog.show_plan(
        connection, key, published_only=caller.tenant_key is not None
    ),
    lambda connection, page, caller, _: show_catalog.list_plans(
        connection, after=page.after, limit=page.limit, published_only=caller.tenant_key is not None
    ),
    lambda db, sent: put_plan(db, plan_from_wire(sent.key, sent.body), if_match=sent.if_match),
    conflicts=True,
    links={"publish": link("post_publication", "Publish its draft.", path__key=_OWN_KEY),
           "versions": link("get_versions", "Its published versions.", path__key=_OWN_KEY)},
)  # fmt: skip
SUBSCRIPTIONS = Noun(
    "subscription", "Subscription", "acme-1",
    lambda connection, key, caller: show_catalog.show_subscription(connection, key, tenant_id=caller.tenant_id),
    _list_subscriptions,
    lambda db, sent: put_subscription(db, subscription_from_wire(sent.key, sent.body), if_match=sent.if_match),
    ("tenant", "plan"), conflicts=True,
    links={"tenant": link("get_tenant", "Whose it is.", path__key="$response.body#/tenant"),
           "plan": link("get_plan", "On which terms.", path__key="$response.body#/plan"),
           "change": link("post_change", "Put it on another plan.", path__key=_OWN_KEY),
           "late_usage": link("get_late_usage", "What was used otherwise than billed.", path__key=_OWN_KEY)},
)  # fmt: skip

ALERTS = Noun(
    "alert", "Alert", "acme-energy",
    lambda connection, key, caller: show_catalog.show_alert(connection, key, tenant_id=caller.tenant_id),
    _list_alerts,
    lambda db, sent: put_alert(db, alert_from_wire(sent.key, sent.body), now=sent.now, if_match=sent.if_match),
    ("tenant", "plan"),
    links={"events": link("get_alert_events", "What it has noticed.", query__alert=_OWN_KEY)},
)  # fmt: skip

for _path, _noun in (
    ("/tenants", TENANTS), ("/resources", RESOURCES), ("/meters", METERS), ("/tax-rates", TAX_RATES),
    ("/exchange-rates", EXCHANGE_RATES),
    ("/coupons", COUPONS), ("/plans", PLANS), ("/subscriptions", SUBSCRIPTIONS), ("/alerts", ALERTS),
):  # fmt: skip
    _add_routes(_path, _noun)


@router.post(
    "/plans/{key}/publish",
    **described(
        "admin", {200: _one(PLANS, "The plan, whose latest version is the one published")}, 404, 409, 412, 422,
        body={JSON: ref("Publication")}, parameters=[_key(PLANS), IF_MATCH],
    ),
)  # fmt: skip
async def post_publication(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Publishes the plan's draft as its next version, in force from `effective_at`."""
    _check_may_write(caller)
    body, if_match = await json_body(request), request.headers.get("if-match")

    def work() -> Response:
        _show(request, PLANS, key, caller)
        effective_at = publication_from_wire(body)
        return _answer(publish_plan(database(request), key, effective_at, if_match=if_match).after)

    return await run_in_threadpool(work)


@router.post(
    "/subscriptions/{key}/changes",
    **described(
        "admin",
        {200: _one(SUBSCRIPTIONS, "It is on that plan then already"), 201: _one(SUBSCRIPTIONS, "It has the change")},
        404, 409, 412, 422, body={JSON: ref("ChangeSent")}, parameters=[_key(SUBSCRIPTIONS), IF_MATCH],
    ),
)  # fmt: skip
async def post_change(request: Request, key: str, caller: Caller = Depends(require("admin"))) -> Response:
    """Moves the subscription to another plan from `at` on (absent: now), until its next change."""
    _check_may_write(caller)
    body, if_match, at = await json_body(request), request.headers.get("if-match"), now(request)

    def work() -> Response:
        _show(request, SUBSCRIPTIONS, key, caller)
        saved = change_plan(database(request), key, change_from_wire(body), now=at, if_match=if_match)
        return _answer(saved.after, 201 if saved.changed else 200)

    return await run_in_threadpool(work)


@router.get(
    "/subscriptions/{key}/late-usage",
    **described(
        "read", {200: Answer("A page of differences", ref("LateUsages"))}, 400, 404, 422,
        parameters=[_key(SUBSCRIPTIONS), *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_late_usage(
    request: Request, key: str, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """What was used otherwise than it was billed, and whether that will be billed: the oldest period first."""
    known_parameters(request, "limit", "cursor")
    after, at = 0 if page.after is None else number_in(page.after, digits=10), now(request)

    def work() -> Response:
        _show(request, SUBSCRIPTIONS, key, caller)
        found = database(request).read(lambda connection: late_usage_of(connection, key, at=at))
        shown, left = found[after : after + page.limit], found[after + page.limit :]
        cursor = encode_cursor(str(after + page.limit)) if left else None
        return Response(shown_json({"data": shown, "next_cursor": cursor}), media_type="application/json")

    return await run_in_threadpool(work)


@router.get(
    "/plans/{key}/versions",
    **described(
        "read", {200: Answer("A page of versions", ref("PlanVersions"))}, 400, 404, 422,
        parameters=[_key(PLANS), *limit_and_cursor(MAX_LIMIT)],
    ),
)  # fmt: skip
async def get_versions(
    request: Request, key: str, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """The published versions of a plan with their terms, oldest first."""
    known_parameters(request, "limit", "cursor")
    after = 0 if page.after is None else number_in(page.after, digits=10)

    def work() -> Response:
        _show(request, PLANS, key, caller)
        found = database(request).read(lambda connection: show_catalog.show_versions(connection, key))
        later = [version for version in found_or_missing(found, "plan", key) if version["version"] > after]
        shown = later[: page.limit]
        cursor = encode_cursor(str(shown[-1]["version"])) if len(later) > page.limit else None
        return Response(shown_json({"data": shown, "next_cursor": cursor}), media_type="application/json")

    return await run_in_threadpool(work)
