"""JSON answers: written by msgspec, so that kept JSON text passes through untouched."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Response


def json_answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers=headers, media_type="application/json")
