"""JSON answers: written by msgspec, so that kept JSON text passes through untouched; and which form a caller wants."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers=headers, media_type="application/json")


def prefers(request: Request, media_type: str) -> bool:
    """True where `Accept` (RFC 9110, 12.5.1) ranks the media type above JSON; a wildcard is for JSON first."""
    ranges = {}
    for item in request.headers.get("accept", "").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        ranges[name] = _quality(parameters)
    kind = media_type.partition("/")[0]
    wanted = ranges.get(media_type, ranges.get(f"{kind}/*", 0.0))
    return wanted > ranges.get("application/json", ranges.get("application/*", 0.0))


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
