"""What the alerts have noticed. The alerts themselves are put and read as the rest of the catalog is."""

from __future__ import annotations

from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from app.api.answers import json_answer
from app.api.dependencies import MAX_LIMIT, Page, database, encode_cursor, page, require
from app.api.document import Answer, described, limit_and_cursor, link, query_parameter
from app.api.parameters import instant_parameter, known_parameters, text_parameter
from app.api.routing import Router
from app.api.schemas import DAY_OR_INSTANT, FILTER_TEXT, ref
from app.domain.alerts import Crossing
from app.domain.callers import Caller
from app.domain.errors import InvalidCursor
from app.operations.list_crossings import list_crossings
from app.storage.alert_store import CrossingFilter
from app.wire.alerts import crossing_to_wire

router = Router(prefix="/v1", tags=["alerts"])


@router.get(
    "/alert-events",
    **described(
        "read",
        {200: Answer("A page of crossings", ref("AlertEvents"), links={
            "next": link("get_alert_events", "The next page.", query__cursor="$response.body#/next_cursor"),
            "tenant": link("get_tenant", "Whose the first is.", path__key="$response.body#/data/0/tenant"),
            "alert": link("get_alert", "What noticed the first.", path__key="$response.body#/data/0/alert"),
        })},
        400, 404, 422,
        parameters=[
            query_parameter("tenant", FILTER_TEXT, "A tenant's key."),
            query_parameter("alert", FILTER_TEXT, "An alert's key."),
            query_parameter("start", DAY_OR_INSTANT, "Noticed from then on; a date is its midnight in UTC."),
            query_parameter("end", DAY_OR_INSTANT, "Noticed before then."),
            *limit_and_cursor(MAX_LIMIT),
        ],
    ),
)  # fmt: skip
async def get_alert_events(
    request: Request, caller: Caller = Depends(require("read")), page: Page = Depends(page)
) -> Response:
    """Thresholds that were crossed, each once in its period, in the order in which that was noticed."""
    known_parameters(request, "tenant", "alert", "start", "end", "cursor", "limit")
    wanted = CrossingFilter(
        alert=text_parameter(request, "alert"), start=instant_parameter(request, "start"),
        end=instant_parameter(request, "end"),
    )  # fmt: skip
    tenant = text_parameter(request, "tenant")
    after = None if page.after is None else _position(page.after)

    def work() -> list[tuple[Crossing, str]]:
        return list_crossings(database(request), caller, wanted, tenant=tenant, after=after, limit=page.limit + 1)

    found = await run_in_threadpool(work)
    shown = found[: page.limit]
    cursor = encode_cursor(shown[-1][0].event_id.hex) if len(found) > page.limit else None
    return json_answer({"data": [crossing_to_wire(*item) for item in shown], "next_cursor": cursor})


def _position(text: str) -> UUID:
    try:
        return UUID(hex=text)
    except ValueError as error:
        raise InvalidCursor("This cursor was not given out by this list.") from error
