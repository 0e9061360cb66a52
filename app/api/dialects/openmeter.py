"""What OpenMeter's clients ask for: events in and listed, meters, and what they measured.

Their 204 has no word for single events. So it says that every event is kept: counted, counted before, or in quarantine
with its reason; otherwise a 400 names each that is not, and what became of the others.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import database, json_body, limits, media_type, now, require
from app.api.document import JSON, Answer, described, path_parameter, query_parameter
from app.api.intake import take_usage
from app.api.outcomes import not_kept, not_kept_detail, summary
from app.api.parameters import (
    choice_parameter,
    instant_parameter,
    known_parameters,
    text_parameter,
    texts_parameter,
    whole_parameter,
)
from app.api.routers.usage import make_ready
from app.api.routing import Router
from app.api.schemas import DAY_OR_INSTANT, FILTER_TEXT, KEY, Schema, one_of, ref
from app.domain.callers import Caller
from app.domain.errors import EventsNotKept, FieldProblem, InvalidInput, NotFound, UnsupportedMediaType
from app.domain.events import EARLIEST
from app.domain.periods import Period, Window, parse_zone, window_at
from app.operations.describe_meters import DescribedMeter, describe_meters
from app.operations.list_events import list_ingested
from app.operations.usage_report import BuiltIn, UsageQuery, first_use_at, usage_report
from app.storage.ingested_store import IngestedFilter
from app.wire.events import BATCH, PLAIN, SINGLE, Sent, decode_events
from app.wire.openmeter import (
    AGGREGATIONS,
    CUSTOMER,
    SUBJECT,
    WINDOW_SIZES,
    MeterQuestion,
    Row,
    ingested_to_wire,
    meter_to_openmeter,
    python_literal,
    question_from_wire,
    result_to_csv,
    result_to_wire,
)

router = Router(prefix="/openmeter/api/v1", tags=["openmeter"])

CSV = "text/csv"
MAX_EVENTS = 100
MAX_METERS = 1000
_MINUTE = timedelta(minutes=1)
_LISTED_BY_DEFAULT = timedelta(hours=72)
_ORDERS = {"key": "slug", "name": "name", "aggregation": "aggregation", "createdAt": "createdAt",
           "updatedAt": "updatedAt"}  # fmt: skip


# --- events ----------------------------------------------------------------------------------------------------------


@router.post(
    "/events",
    **described(
        "ingest", {204: Answer("Every event is kept: counted, counted before, or in quarantine.")}, 429,
        body={SINGLE: ref("EventSent"), BATCH: ref("EventsSent"),
              JSON: {"anyOf": [ref("EventSent"), ref("EventsSent")]}},
    ),
)  # fmt: skip
async def post_openmeter_events(request: Request) -> Response:
    """Keeps and counts usage events, each once. Where some are not kept, a 400 names them; the others are kept."""
    taken = await take_usage(request, partial(_decode, request))
    lost = not_kept(taken.outcomes)
    if not lost:
        return Response(status_code=204)
    problems = tuple(
        FieldProblem(f"#{'' if taken.is_single else f'/{index}'}{outcome.pointer}", outcome.detail or _CONFLICT)
        for index, outcome in lost
    )
    raise EventsNotKept(not_kept_detail(taken.outcomes), problems=problems, **summary(taken.outcomes))


_CONFLICT = "an event with this source and id is there with other content; the first one stays"


def _decode(request: Request, content: bytes, _caller: Caller) -> tuple[Sent, bool]:
    sent = media_type(request)
    if sent not in (SINGLE, BATCH, PLAIN):
        raise UnsupportedMediaType(f"Events come as {SINGLE}, {BATCH} or {PLAIN}.")
    return decode_events(content, sent, max_events=limits(request).max_events)


_EVENT_FILTERS: list[Schema] = [
    query_parameter("clientId", FILTER_TEXT, "Taken, and of no effect."),
    query_parameter("ingestedAtFrom", DAY_OR_INSTANT, "The first time of receipt."),
    query_parameter("ingestedAtTo", DAY_OR_INSTANT, "The first time of receipt outside."),
    query_parameter("id", FILTER_TEXT, "A part of the event's id."),
    query_parameter("subject", FILTER_TEXT, "A part of the event's subject."),
    query_parameter("customerId", FILTER_TEXT, "A tenant's key; more than one where it is repeated."),
    query_parameter("from", DAY_OR_INSTANT, "The first time; absent: 72 hours ago."),
    query_parameter("to", DAY_OR_INSTANT, "The first time outside."),
    {"name": "limit", "in": "query", "description": "How many at most.",
     "schema": {"type": "integer", "minimum": 1, "maximum": MAX_EVENTS, "default": MAX_EVENTS}},
]  # fmt: skip


@router.get(
    "/events",
    **described("read", {200: Answer("The latest of them", ref("OpenMeterEvents"))}, 404, 422,
                parameters=_EVENT_FILTERS),
)  # fmt: skip
async def get_openmeter_events(request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """Events that came in, the latest first; one that does not count says why in `validationError`."""
    known_parameters(request, *(item["name"] for item in _EVENT_FILTERS), repeated=("customerId",))
    text_parameter(request, "clientId")
    wanted = IngestedFilter(
        id=text_parameter(request, "id") or "", subject=text_parameter(request, "subject") or "",
        start=instant_parameter(request, "from") or now(request) - _LISTED_BY_DEFAULT,
        end=instant_parameter(request, "to"), received_start=instant_parameter(request, "ingestedAtFrom"),
        received_end=instant_parameter(request, "ingestedAtTo"),
    )  # fmt: skip
    limit = whole_parameter(request, "limit", most=MAX_EVENTS, default=MAX_EVENTS)
    tenants = _visible(texts_parameter(request, "customerId"), caller)
    found, keys = await run_in_threadpool(list_ingested, database(request), wanted, tenants=tenants, limit=limit)
    return json_answer(
        [
            ingested_to_wire(
                item.event, at=item.at, received_at=item.received_at, tenant=keys.get(item.tenant_id), fault=item.fault
            )
            for item in found
        ]
    )


def _visible(customers: tuple[str, ...], caller: Caller) -> tuple[str, ...]:
    """The tenants asked for; of a key bound to one, that one. Raises NotFound for another, as for one there is not."""
    if caller.tenant_key is None:
        return customers
    for key in customers:
        if key != caller.tenant_key:
            raise NotFound(f"There is no tenant {key!r}.", tenant=key)
    return (caller.tenant_key,)


# --- meters ----------------------------------------------------------------------------------------------------------

_METER = path_parameter("slug", KEY, "energy")
_WHOLE = {"type": "integer", "minimum": 1}
_METER_PAGES: list[Schema] = [
    {"name": "page", "in": "query", "schema": _WHOLE | {"default": 1, "maximum": 100_000},
     "description": "Which page, from 1."},
    {"name": "pageSize", "in": "query", "schema": _WHOLE | {"default": 100, "maximum": MAX_METERS},
     "description": "How many a page."},
    {"name": "order", "in": "query", "schema": one_of(("ASC", "DESC")), "description": "Absent: `ASC`."},
    {"name": "orderBy", "in": "query", "schema": one_of(tuple(_ORDERS)), "description": "Absent: `key`."},
    {"name": "includeDeleted", "in": "query", "schema": one_of(("true", "false")),
     "description": "Taken, and of no effect: no meter is ever deleted."},
]  # fmt: skip


@router.get(
    "/meters",
    **described("read", {200: Answer("A page of them", ref("OpenMeterMeters"))}, 422, parameters=_METER_PAGES),
)
async def get_openmeter_meters(request: Request, caller: Caller = Depends(require("read"))) -> Response:
    """Meters, each by its newest revision."""
    known_parameters(request, *(item["name"] for item in _METER_PAGES))
    choice_parameter(request, "includeDeleted", ("true", "false"))
    page = whole_parameter(request, "page", most=100_000, default=1)
    size = whole_parameter(request, "pageSize", most=MAX_METERS, default=100)
    field = _ORDERS[choice_parameter(request, "orderBy", tuple(_ORDERS)) or "key"]
    is_falling = choice_parameter(request, "order", ("ASC", "DESC")) == "DESC"
    meters = [_meter(item) for item in await run_in_threadpool(describe_meters, database(request)) if _is_known(item)]
    meters.sort(key=lambda meter: (meter[field], meter["slug"]), reverse=is_falling)
    return json_answer(meters[(page - 1) * size : page * size])


@router.get(
    "/meters/{slug}",
    **described("read", {200: Answer("The meter", ref("OpenMeterMeter"))}, 404, 422, parameters=[_METER]),
)
async def get_openmeter_meter(request: Request, slug: str, caller: Caller = Depends(require("read"))) -> Response:
    """The meter by its newest revision."""
    for item in await run_in_threadpool(describe_meters, database(request)):
        if item.entry.meter.key == slug and _is_known(item):
            return json_answer(_meter(item))
    raise NotFound(f"There is no meter {slug!r}.", meter=slug)


def _is_known(item: DescribedMeter) -> bool:
    """A meter whose aggregation they have no word for is none of theirs; it can be queried."""
    return item.entry.meter.aggregation in AGGREGATIONS


def _meter(item: DescribedMeter) -> dict[str, Any]:
    return meter_to_openmeter(item.entry, created_at=item.created_at, updated_at=item.updated_at)


# --- usage -----------------------------------------------------------------------------------------------------------

_TEXTS = {"type": "array", "items": FILTER_TEXT}
_QUESTION: list[Schema] = [
    _METER,
    query_parameter("clientId", FILTER_TEXT, "Taken, and of no effect."),
    query_parameter("from", DAY_OR_INSTANT, "The first instant; absent: from the first use on.", example="2026-10-01"),
    query_parameter("to", DAY_OR_INSTANT, "The first instant outside; absent: all that was acknowledged."),
    {"name": "windowSize", "in": "query", "schema": one_of(tuple(WINDOW_SIZES)),
     "description": "Absent: one row for all of it."},
    query_parameter("windowTimeZone", FILTER_TEXT, "Of the windows (IANA); absent: UTC.", example="Europe/Paris"),
    query_parameter("subject", _TEXTS, "Filters by the events' subjects, and groups by them."),
    query_parameter("filterCustomerId", _TEXTS, "Filters by the keys of tenants, and groups by them."),
    query_parameter("groupBy", _TEXTS, "Dimensions of the meter, `subject`, `customer_id`, `resource`."),
    {"name": "filterGroupBy", "in": "query", "style": "deepObject", "explode": True,
     "schema": {"type": "object", "additionalProperties": FILTER_TEXT},
     "description": "The value that a dimension must have: `filterGroupBy[station]=12`. Also as their client for "
                    "Python writes it: `filterGroupBy={'station': '12'}`."},
]  # fmt: skip
_ANSWERS = {
    200: Answer("Rows by window, then group; a window without use has none.", ref("OpenMeterResult"),
                other={CSV: {"type": "string"}})
}  # fmt: skip
# What the reading operation calls what they call otherwise.
_BUILT_IN = {SUBJECT: BuiltIn.SUBJECT, CUSTOMER: BuiltIn.TENANT}
_NAMES: dict[str | BuiltIn, str] = {item: name for name, item in _BUILT_IN.items()}
_PARAMETERS = {"group_by": "groupBy", "among": "filterGroupBy", "window": "windowSize"}


@router.get("/meters/{slug}/query", **described("read", _ANSWERS, 404, 422, 503, parameters=_QUESTION))
async def get_openmeter_query(request: Request, slug: str, caller: Caller = Depends(require("read"))) -> Response:
    """What a meter measured, as `GET /v1/usage` says it; as CSV where `Accept` says `text/csv`."""
    return await run_in_threadpool(_answer, request, slug, _asked(request), caller)


@router.post(
    "/meters/{slug}/query",
    **described("read", _ANSWERS, 404, 422, 503, parameters=[_METER], body={JSON: ref("OpenMeterQuestion")}),
)
async def post_openmeter_query(request: Request, slug: str, caller: Caller = Depends(require("read"))) -> Response:
    """What a meter measured, with the question in the body."""
    question = question_from_wire(await json_body(request))
    return await run_in_threadpool(_answer, request, slug, question, caller)


def _asked(request: Request) -> MeterQuestion:
    names = [item["name"] for item in _QUESTION if item["in"] == "query"]
    among: dict[str, tuple[str, ...]] = {}
    for name in dict.fromkeys(request.query_params):
        values = request.query_params.getlist(name)
        if name.startswith("filterGroupBy[") and name.endswith("]"):
            among[name[len("filterGroupBy[") : -1]] = tuple(values)
        elif name == "filterGroupBy" and any(values):
            among |= python_literal(values[-1])
        elif name not in names:
            raise InvalidInput.at(name, f"unknown parameter {name}; known are {', '.join(names)}")
    text_parameter(request, "clientId")
    return MeterQuestion(
        instant_parameter(request, "from"), instant_parameter(request, "to"),
        choice_parameter(request, "windowSize", tuple(WINDOW_SIZES)), text_parameter(request, "windowTimeZone"),
        texts_parameter(request, "subject"), texts_parameter(request, "filterCustomerId"),
        texts_parameter(request, "groupBy"), among,
    )  # fmt: skip


def _answer(request: Request, meter: str, question: MeterQuestion, caller: Caller) -> Response:
    make_ready(request, meter)
    query = _query(request, meter, question, caller)
    try:
        _, found = usage_report(database(request), query)
    except InvalidInput as error:
        raise _in_their_words(error, is_body=request.method == "POST") from error
    rows: list[Row] = [
        (row.period, row.quantity, {_NAMES.get(name, str(name)): value for name, value in row.group.items()})
        for row in found
    ]
    if CSV in request.headers.get("accept", ""):
        return Response(result_to_csv(question, rows), media_type=CSV)
    return json_answer(result_to_wire(question, rows))


def _in_their_words(error: InvalidInput, *, is_body: bool) -> InvalidInput:
    """The same error, with the names that its parameters have here."""
    problems = (
        FieldProblem(("#/" if is_body else "") + _PARAMETERS[item.pointer], item.detail) for item in error.problems
    )
    return InvalidInput(error.detail, problems=tuple(problems))


def _query(request: Request, meter: str, question: MeterQuestion, caller: Caller) -> UsageQuery:
    zone_name = question.zone or "UTC"
    try:
        zone = parse_zone(zone_name)
    except ValueError as error:
        raise InvalidInput.at("windowTimeZone", f"{zone_name!r} is not a time zone such as Europe/Paris") from error
    window = WINDOW_SIZES.get(question.window_size or "")
    return UsageQuery(
        meter, _period(request, meter, question, window, zone), zone, _visible(question.customers, caller), None,
        window, tuple(_BUILT_IN.get(name, name) for name in question.groups), question.subjects, question.among,
        until=now(request),
    )  # fmt: skip


def _period(request: Request, meter: str, question: MeterQuestion, window: Window | None, zone: ZoneInfo) -> Period:
    """What is asked for. An end that is left open lies where a window ends, so that none is cut there."""
    start, end = question.start, question.end
    if end is None:
        end = now(request) + limits(request).future
        end = end if window is None else window_at(end, window, zone).end
    if start is None:
        start = EARLIEST
        if window is not None:
            first = first_use_at(database(request), meter)
            start = min(end - _MINUTE, end if first is None else window_at(first, window, zone).start)
    if not start < end:
        raise InvalidInput.at("to", "to must lie after from")
    return Period(start, end)
