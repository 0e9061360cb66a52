"""The one table from a domain error to its status, and every error's answer (RFC 9457)."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api import document
from app.api.routing import allowed_methods
from app.domain import errors

PROBLEM_BASE = "/problems/"
MAX_ERRORS_LISTED = 100

# The first family that an error belongs to decides, so the narrower ones stand first.
STATUS_OF: tuple[tuple[type[errors.BillingError], int], ...] = (
    (errors.Malformed, 400),
    (errors.TooLarge, 413),
    (errors.UnsupportedMediaType, 415),
    (errors.InvalidInput, 422),
    (errors.NotAuthenticated, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.PreconditionFailed, 412),
    (errors.Conflict, 409),
    (errors.BodyTooSlow, 408),
    (errors.Overloaded, 429),
    (errors.Unavailable, 503),
)


# What an answer of this status always says in its headers.
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": "1"}, 503: {"Retry-After": "1"}}


def status_of(error: errors.BillingError) -> int:
    return next((status for family, status in STATUS_OF if isinstance(error, family)), 500)


def problem_of(error: errors.BillingError) -> dict[str, Any]:
    """The members of a problem but `status` and `instance`, which only an HTTP answer has."""
    problem: dict[str, Any] = {"type": PROBLEM_BASE + error.slug, "title": error.title, "detail": error.detail}
    problem |= {name: value for name, value in error.facts.items() if value is not None}
    if isinstance(error, errors.InvalidInput | errors.NoEInvoice) and error.problems:
        listed = error.problems[:MAX_ERRORS_LISTED]
        problem["errors"] = [{"pointer": item.pointer, "detail": item.detail} for item in listed]
    return problem


def problem_answer(
    request: Request, status: int, problem: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """The problem as an answer, with its status and the path it came from."""
    body = problem | {"status": status, "instance": request.url.path}
    all_headers = _HEADERS.get(status, {}) | (headers or {})
    return Response(
        msgspec.json.encode(body, enc_hook=str), status, headers=all_headers, media_type="application/problem+json"
    )


def generic_problem(
    request: Request, status: int, slug: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    title = slug.replace("-", " ").capitalize()
    return problem_answer(request, status, {"type": PROBLEM_BASE + slug, "title": title, "detail": detail}, headers)


def install(app: FastAPI) -> None:
    """Every 4xx and 5xx of every path answers as a problem, and the published document says so."""
    document.install(app)

    @app.exception_handler(errors.BillingError)
    async def _billing(request: Request, error: errors.BillingError) -> Response:
        return problem_answer(request, status_of(error), problem_of(error))

    @app.exception_handler(RequestValidationError)
    async def _validation(request: Request, error: RequestValidationError) -> Response:
        problems = [{"pointer": "/".join(map(str, item["loc"][1:])), "detail": item["msg"]} for item in error.errors()]
        return problem_answer(
            request, 422,
            {"type": PROBLEM_BASE + "invalid-input", "title": "Invalid input",
             "detail": "The request breaks a rule.", "errors": problems},
        )  # fmt: skip

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        slugs = {404: "not-found", 405: "method-not-allowed"}
        slug = slugs.get(error.status_code, "http-error")
        # The framework names the methods of one route; a path may have several.
        headers = {"Allow": allowed_methods(request)} if error.status_code == 405 else dict(error.headers or {})
        return generic_problem(request, error.status_code, slug, str(error.detail), headers)
