"""Which methods a path has: HEAD wherever GET is, and an `Allow` that names them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from starlette.routing import Match

_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")


class Router(APIRouter):
    """Routes of which every GET answers HEAD too (RFC 9110, 9.3.2): the server leaves the body out. An operation is
    named after its function."""

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        options["operation_id"] = options.get("operation_id") or endpoint.__name__
        super().add_api_route(path, endpoint, **options)
        if "GET" in options["methods"]:
            super().add_api_route(path, endpoint, **(options | {"methods": ["HEAD"], "include_in_schema": False}))


def allowed_methods(request: Request) -> str:
    """Every method that the path has, as `Allow` lists them: a path's methods are routes of their own."""
    found = [method for method in _METHODS if _is_routed(request, method)]
    return ", ".join(found)


def _is_routed(request: Request, method: str) -> bool:
    scope = {name: request.scope[name] for name in ("type", "path", "root_path", "headers")} | {"method": method}
    return any(route.matches(dict(scope))[0] is Match.FULL for route in request.app.routes)
