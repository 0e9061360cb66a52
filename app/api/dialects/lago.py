"""What Lago's clients send: usage events, one or many.

Their 200 has no word for what became of an event. So it says that every event is kept: counted, counted before, or in
quarantine with its reason; otherwise a 422 names each that is not, in their words too.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.api.answers import json_answer
from app.api.dependencies import database, limits, media_type
from app.api.document import JSON, Answer, described
from app.api.intake import Taken, take_usage
from app.api.outcomes import named, not_kept, not_kept_detail
from app.api.problems import problem_answer, problem_of, status_of
from app.api.routing import Router
from app.api.schemas import ref
from app.domain.callers import Caller
from app.domain.errors import BillingError, EventsNotKept, FieldProblem, UnsupportedMediaType
from app.domain.events import UsageEvent
from app.operations.find_subscribers import find_subscribers
from app.operations.ingest_events import Outcome
from app.wire.events import Sent
from app.wire.lago import FIELD_OF, decode_lago, event_to_lago

_PHRASES = {422: "Unprocessable Entity"}  # as they write it; newer versions of HTTP call it otherwise


class _LagoRoute(APIRoute):
    """A problem is told in their words, too: `status` is in both, `error` is its phrase."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_in_their_words(request: Request) -> Response:
            try:
                return await handle(request)
            except BillingError as error:
                status = 422 if isinstance(error, EventsNotKept) else status_of(error)
                words = {"error": _PHRASES.get(status) or HTTPStatus(status).phrase}
                return problem_answer(request, status, problem_of(error) | words)

        return handle_in_their_words


router = Router(prefix="/lago/api/v1", tags=["lago"], route_class=_LagoRoute)


@router.post(
    "/events",
    **described(
        "ingest", {200: Answer("It is kept: counted, counted before, or in quarantine.", ref("LagoEventKept"))},
        422, 429, body={JSON: ref("LagoEventSent")},
    ),
)  # fmt: skip
async def post_lago_event(request: Request) -> Response:
    """Keeps and counts a usage event, once."""
    taken = await take_usage(request, partial(_decode, request, False))
    return json_answer({"event": _kept(taken)[0]})


@router.post(
    "/events/batch",
    **described(
        "ingest", {200: Answer("All are kept: counted, counted before, or in quarantine.", ref("LagoEventsKept"))},
        422, 429, body={JSON: ref("LagoEventsSent")},
    ),
)  # fmt: skip
async def post_lago_events(request: Request) -> Response:
    """Keeps and counts usage events, each once. Where some are not kept, a 422 names them; the others are kept."""
    taken = await take_usage(request, partial(_decode, request, True))
    return json_answer({"events": _kept(taken)})


def _decode(request: Request, is_batch: bool, content: bytes, caller: Caller) -> tuple[Sent, bool]:
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"Send the body as {JSON}.")
    sent = decode_lago(
        content, is_batch=is_batch, max_events=limits(request).max_events,
        tenants_of=lambda subscriptions: find_subscribers(database(request), subscriptions, caller),
    )  # fmt: skip
    return sent, not is_batch


def _kept(taken: Taken) -> list[dict[str, Any]]:
    """The events in their shape. Raises EventsNotKept, with the faults in their shape and in ours."""
    lost = not_kept(taken.outcomes)
    if lost:
        details = {str(index): _details(outcome) for index, outcome in lost}
        raise EventsNotKept(
            not_kept_detail(taken.outcomes),
            problems=tuple(_problem("#/event" if taken.is_single else f"#/events/{index}", o) for index, o in lost),
            code="validation_errors", error_details=details["0"] if taken.is_single else details,
            **named(taken.outcomes.counts()),
        )  # fmt: skip
    exceptions = taken.outcomes.exceptions
    return [
        event_to_lago(event, received_at=taken.received_at, is_new=not _is_duplicate(exceptions.get(index)))
        for index, event in enumerate(taken.sent)
        if isinstance(event, UsageEvent)
    ]


def _is_duplicate(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.status == "duplicate"


def _pointer(outcome: Outcome) -> str:
    if outcome.status == "conflict":
        return "/transaction_id"
    return f"/{FIELD_OF[outcome.pointer]}" if outcome.pointer in FIELD_OF else outcome.pointer


def _details(outcome: Outcome) -> dict[str, list[str]]:
    name = _pointer(outcome).lstrip("/").partition("/")[0] or "event"
    return {name: ["value_already_exist" if outcome.status == "conflict" else outcome.detail or ""]}


def _problem(place: str, outcome: Outcome) -> FieldProblem:
    already = "this subscription has a transaction of this id with other content; the first one stays"
    return FieldProblem(place + _pointer(outcome), already if outcome.status == "conflict" else outcome.detail or "")
