"""Query parameters as domain values, with a problem that names the one at fault."""

from __future__ import annotations

from datetime import UTC, datetime, time

from fastapi import Request

from app.domain.errors import InvalidInput
from app.domain.events import parse_instant


def instant_parameter(request: Request, name: str) -> datetime | None:
    """The instant of an RFC 3339 time, or of a date as its midnight in UTC; None where the parameter is absent."""
    text = request.query_params.get(name)
    if not text:
        return None
    # A `+` of an offset that was not escaped arrives as a space.
    mended = text.replace(" ", "+") if text.count(" ") == 1 and text[-6:-5] == " " else text
    try:
        if len(mended) == 10:
            return datetime.combine(datetime.strptime(mended, "%Y-%m-%d").date(), time(), UTC)
        return parse_instant(mended)
    except ValueError as error:
        raise InvalidInput.at(name, f"{name}: {error}") from error


def choice_parameter(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    text = request.query_params.get(name)
    if text is None or text in choices:
        return text
    raise InvalidInput.at(name, f"{name} must be one of {', '.join(choices)}")


def text_parameter(request: Request, name: str) -> str | None:
    """The parameter as it came; None where it is absent or empty."""
    text = request.query_params.get(name)
    if text and "\x00" in text:
        raise InvalidInput.at(name, f"{name} holds a NUL character")
    return text or None


def known_parameters(request: Request, *names: str) -> None:
    """Refuses a parameter that the route does not know: a misspelt filter must not answer for all."""
    for name in request.query_params:
        if name not in names:
            raise InvalidInput.at(name, f"unknown parameter {name}; known are {', '.join(names)}")
