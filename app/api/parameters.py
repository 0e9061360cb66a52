"""Query parameters as domain values, with a problem that names the one at fault."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from datetime import UTC, date, datetime, time

from fastapi import Request

from app.domain.errors import InvalidInput
from app.domain.events import parse_instant

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def instant_parameter(request: Request, name: str) -> datetime | None:
    """The instant of an RFC 3339 time, or of a date as its midnight in UTC; None where the parameter is absent."""
    text = request.query_params.get(name)
    if not text:
        return None
    # A `+` of an offset that was not escaped arrives as a space.
    mended = text.replace(" ", "+") if text.count(" ") == 1 and text[-6:-5] == " " else text
    try:
        if len(mended) == 10:
            return datetime.combine(date.fromisoformat(mended), time(), UTC)
        return parse_instant(mended)
    except ValueError as error:
        raise InvalidInput.at(name, f"{name}: {error}") from error


def date_parameter(request: Request, name: str) -> date | None:
    """The date, where the parameter is one."""
    text = request.query_params.get(name, "")
    try:
        return date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError as error:
        raise InvalidInput.at(name, f"{name}: {error}") from error


def choice_parameter(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    text = request.query_params.get(name)
    if text is None or text in choices:
        return text
    raise InvalidInput.at(name, f"{name} must be one of {', '.join(choices)}")


def whole_parameter(request: Request, name: str, *, most: int, default: int) -> int:
    """The number from 1 to `most`; `default` where the parameter is absent."""
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= most):
        raise InvalidInput.at(name, f"{name} must be a whole number from 1 to {most}")
    return int(text)


def text_parameter(request: Request, name: str) -> str | None:
    """The parameter as it came; None where it is absent or empty."""
    text = request.query_params.get(name)
    if text and "\x00" in text:
        raise InvalidInput.at(name, f"{name} holds a NUL character")
    return text or None


def texts_parameter(request: Request, name: str) -> tuple[str, ...]:
    """Every value of a parameter that may be repeated; an empty one is none."""
    values = request.query_params.getlist(name)
    if any("\x00" in value for value in values):
        raise InvalidInput.at(name, f"{name} holds a NUL character")
    return tuple(filter(None, values))


def known_parameters(request: Request, *names: str, repeated: Collection[str] = ()) -> None:
    """Refuses a parameter that the route does not know, or that is sent twice where it has one value: a misspelt or
    forgotten filter must not answer for all."""
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in names:
            raise InvalidInput.at(name, f"unknown parameter {name}; known are {', '.join(names)}")
        if times > 1 and name not in repeated:
            raise InvalidInput.at(name, f"{name} is sent {times} times; it has one value")
