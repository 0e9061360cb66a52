"""Which methods a path has: HEAD wherever GET is, and an `Allow` that names them all; and the short way to one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class _NoFile(StringConvertor):
    """An id alone: what follows it behind a dot, as in `/invoices/inv_1.pdf`, is a path of its own."""

    regex = "[^/.]+"


register_url_convertor("id", _NoFile())


class Router(APIRouter):
    """Routes of which every GET answers HEAD too (RFC 9110, 9.3.2): the server leaves the body out. An operation is
    named after its function."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().add_api_route(path, endpoint, **options)
        if "GET" in options["methods"]:
            super().add_api_route(path, endpoint, **(options | {"methods": ["HEAD"], "include_in_schema": False}))


class _Directly:
    """Calls the endpoint with the request and nothing else."""

    def __init__(self, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
        self.path = path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        answer = await self._endpoint(Request(scope, receive, send))
        await answer(scope, receive, send)


def shorten(app: FastAPI, method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> None:
    """Lets requests of this method and path, a route that is documented elsewhere, reach their endpoint first and
    without FastAPI's look at parameters and dependencies, which costs as much as writing an event does."""
    app.router.routes.insert(0, Route(path, _Directly(path, endpoint), methods=[method], include_in_schema=False))


def allowed_methods(request: Request) -> str:
    """Every method that the path has, as `Allow` lists them: a path's methods are routes of their own."""
    found = [method for method in _METHODS if _is_routed(request, method)]
    return ", ".join(found)


def _is_routed(request: Request, method: str) -> bool:
    scope = {name: request.scope[name] for name in ("type", "path", "root_path", "headers")} | {"method": method}
    return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)
