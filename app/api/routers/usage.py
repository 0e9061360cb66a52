"""Usage by window and group, and where a tenant stands in a meter."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import database, limits, now, require, settle_catalog
from app.api.document import Answer, described, path_parameter, query_parameter
from app.api.parameters import choice_parameter, date_parameter, instant_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import DAY_OR_INSTANT, FILTER_TEXT, KEY, one_of, ref
from app.domain.callers import Caller
from app.domain.errors import CatchingUp, InvalidInput, NotFound
from app.domain.events import EARLIEST
from app.domain.meters import Meter
from app.domain.money import plain
from app.domain.periods import Period, parse_zone, start_of_day
from app.operations.read_balance import Standing, read_balance
from app.operations.resolve_tenant import resolve_tenant
from app.operations.usage_report import UsageQuery, UsageRow, meter_is_ready, usage_report
from app.wire.balance import balance_to_wire
from app.wire.invoices import period_to_wire

router = Router(prefix="/v1", tags=["usage"])

WINDOWS = ("minute", "hour", "day", "week", "month")


_PARAMETERS = [
    query_parameter("meter", KEY, "The meter's key.", required=True, example="energy"),
    query_parameter("tenant", FILTER_TEXT, "A tenant's key; absent: all tenants together.", example="acme"),
    query_parameter("resource", FILTER_TEXT, "A resource's key."),
    query_parameter(
        "start", DAY_OR_INSTANT, "A date is its midnight in the time zone. Needed with `window`.", example="2026-10-01"
    ),
    query_parameter("end", DAY_OR_INSTANT, "The first instant outside. Needed with `window`.", example="2026-11-01"),
    {"name": "window", "in": "query", "schema": one_of(WINDOWS), "description": "Absent: one row for all of it."},
    query_parameter(
        "time_zone", FILTER_TEXT, "Of the windows (IANA); absent: the tenant's, or UTC.", example="Europe/Paris"
    ),
    query_parameter(
        "group_by",
        FILTER_TEXT,
        "Dimensions of the meter, `tenant`, `resource` or `subject`, by comma.",
        example="station",
    ),
]


@router.get(
    "/usage",
    **described("read", {200: Answer("Rows by window, then group; a window without use has none.", ref("Usage"))},
                404, 422, 503, parameters=_PARAMETERS),
)  # fmt: skip
async def get_usage(request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """What was used, every event acknowledged before this request included, exactly in any time zone."""
    known_parameters(
        request,
        "meter",
        "tenant",
        "start",
        "end",
        "window",
        "time_zone",
        "group_by",
        "resource",
        repeated=("group_by",),
    )

    def work() -> dict[str, Any]:
        query = _query(request, caller)
        make_ready(request, query.meter)
        meter, rows = usage_report(database(request), query)
        return {"meter": meter.key, "unit": meter.unit, "data": [_row(meter, row) for row in rows]}

    return json_answer(await run_in_threadpool(work))


@router.get(
    "/tenants/{key}/balance",
    **described(
        "read", {200: Answer("Where the tenant stands in the meter.", ref("Balance"))}, 404, 422, 503,
        parameters=[
            path_parameter("key", KEY, "acme"),
            query_parameter("meter", KEY, "The meter's key.", required=True, example="energy"),
        ],
    ),
)  # fmt: skip
async def get_balance(key: str, request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """What a tenant used in its billing period, what is free, what its limit leaves, and whether it has access: for a
    producer to ask before it serves."""
    known_parameters(request, "meter")

    def work() -> dict[str, Any]:
        meter = text_parameter(request, "meter")
        if meter is None:
            raise InvalidInput.at("meter", "name the meter: ?meter=energy")
        found = _standing(request, caller, key, meter)
        if found is None or found.is_behind:
            settle_catalog(request)
            found = read_balance(database(request), caller, tenant=key, meter=meter, now=now(request))
        return balance_to_wire(found.tenant, found.meter, found.balance, found.prepaid)

    return json_answer(await run_in_threadpool(work))


def _row(meter: Meter, row: UsageRow) -> dict[str, Any]:
    shown = period_to_wire(row.period) | {"quantity": plain(row.quantity), "group": row.group}
    if meter.sessions is not None:
        shown["sessions"] = {"open": row.sessions_open, "cut": row.sessions_cut}
    return shown


def _standing(request: Request, caller: Caller, tenant: str, meter: str) -> Standing | None:
    """None where the meter is being built for the first time."""
    try:
        return read_balance(database(request), caller, tenant=tenant, meter=meter, now=now(request))
    except CatchingUp:
        return None


def make_ready(request: Request, meter: str) -> None:
    """Brings up a meter that was just made or changed, as far as that goes quickly."""
    if not meter_is_ready(database(request), meter):
        settle_catalog(request)


def _query(request: Request, caller: Caller) -> UsageQuery:
    meter = text_parameter(request, "meter")
    if meter is None:
        raise InvalidInput.at("meter", "name the meter: ?meter=energy")
    tenant = text_parameter(request, "tenant")
    if caller.tenant_key is not None:
        if tenant not in (None, caller.tenant_key):
            raise NotFound(f"There is no tenant {tenant!r}.")
        tenant = caller.tenant_key
    zone_name = text_parameter(request, "time_zone")
    if zone_name is None:
        zone_name = resolve_tenant(database(request), tenant, caller).time_zone if tenant else "UTC"
    try:
        zone = parse_zone(zone_name)
    except ValueError as error:
        raise InvalidInput.at("time_zone", f"{zone_name!r} is not a time zone such as Europe/Paris") from error
    window: Any = choice_parameter(request, "window", WINDOWS)
    groups = tuple(name for text in request.query_params.getlist("group_by") for name in text.split(",") if name)
    return UsageQuery(
        meter, _period(request, window, zone), zone, () if tenant is None else (tenant,),
        text_parameter(request, "resource"), window, tuple(dict.fromkeys(groups)), until=now(request),
    )  # fmt: skip


def _moment(request: Request, name: str, zone: ZoneInfo) -> datetime | None:
    """The instant that the parameter names; a date is its midnight in the zone of the windows."""
    day = date_parameter(request, name)
    return instant_parameter(request, name) if day is None else start_of_day(day, zone)


def _period(request: Request, window: str | None, zone: ZoneInfo) -> Period:
    start, end = _moment(request, "start", zone), _moment(request, "end", zone)
    if window is not None and (start is None or end is None):
        raise InvalidInput.at("start" if start is None else "end", "windows need both `start` and `end`")
    start = start or EARLIEST
    end = end or now(request) + limits(request).future
    if not start < end:
        raise InvalidInput.at("end", "end must lie after start")
    return Period(start, end)
