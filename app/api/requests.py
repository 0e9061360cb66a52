"""Around every request: its id, its line in the log, its metrics, and what every answer's headers say."""

from __future__ import annotations

import logging
import re
import time

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import generic_problem
from app.domain.ids import new_id
from app.observability import metrics
from app.observability.logs import bound

_log = logging.getLogger("quotepart.api")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
# A probe or a scrape every few seconds would bury the rest.
_NOT_LOGGED = frozenset({"/healthz", "/readyz", "/metrics"})
# Nobody is answered: a number of the log and the metrics only, as nginx writes it.
_CLIENT_GONE = 499
_NOSNIFF = (b"x-content-type-options", b"nosniff")
_NO_STORE = (b"cache-control", b"no-store")
_WITH_A_KEY = ("/v1/", "/openmeter/", "/lago/")


class Requests:
    """ASGI middleware. An error that nobody caught answers 500 without saying anything of it, and is logged whole.

    A caller's own `X-Request-Id` is taken over where it is short and plain; the answer carries the id in any case.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        began = time.perf_counter()
        answered = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                message["headers"] = _with_headers(scope, list(message["headers"]), request_id)
            await send(message)

        with bound(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            except ClientDisconnect:
                answered = _CLIENT_GONE  # nobody is there to be answered, and nothing went wrong on our side
            except Exception:
                _log.exception("unexpected error on %s %s", scope["method"], scope["path"])
                if answered:
                    raise
                answer = generic_problem(
                    Request(scope), 500, "internal-error", "Something went wrong on our side; it was logged."
                )
                await answer(scope, receive, send_with_headers)
            finally:
                _record(scope, answered, time.perf_counter() - began)


def _request_id(scope: Scope) -> str:
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _REQUEST_ID.fullmatch(given) else new_id().hex


def _with_headers(scope: Scope, headers: list[tuple[bytes, bytes]], request_id: str) -> list[tuple[bytes, bytes]]:
    headers += [(b"x-request-id", request_id.encode()), _NOSNIFF]
    if scope["path"].startswith(_WITH_A_KEY) and not any(name == _NO_STORE[0] for name, _ in headers):
        headers.append(_NO_STORE)
    return headers


def _record(scope: Scope, status: int, seconds: float) -> None:
    found = scope.get("route")
    route = getattr(found, "path_format", None) or getattr(found, "path", "unmatched")
    method = scope["method"] if scope["method"] in metrics.METHODS else "other"
    metrics.HTTP_REQUESTS.labels(method, route, str(status)).inc()
    metrics.HTTP_SECONDS.labels(method, route).observe(seconds)
    if scope["path"] not in _NOT_LOGGED:
        _log.info(
            "request",
            extra={"method": scope["method"], "path": scope["path"], "status": status, "seconds": f"{seconds:.4f}"},
        )
