"""Requests that make something, and may be sent again without making it twice."""

from __future__ import annotations

import re

from fastapi import Request

from app.api.schemas import Schema
from app.domain.errors import InvalidInput

_MAX_LENGTH = 255
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key", "in": "header", "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": _MAX_LENGTH, "pattern": "^[!-~]+$"},
    "description": "The same request sent again with it makes nothing new, and answers with what it made (200).",
}  # fmt: skip


def idempotency_key(request: Request) -> str | None:
    """The key that was sent. Raises InvalidInput."""
    key = request.headers.get("idempotency-key")
    if key is not None and not re.fullmatch(f"[!-~]{{1,{_MAX_LENGTH}}}", key):
        detail = f"Idempotency-Key has 1 to {_MAX_LENGTH} characters of ASCII, and no space"
        raise InvalidInput.at("Idempotency-Key", detail)
    return key
