"""What does a producer's event look like on its way? One CloudEvent as one line of JSON, every number of it exact.

`event_text(id="j-1", source="/laser", type="job.ended", subject="acme", time=.., data={"hours": Decimal("2.50")})` has
`"data":{"hours":"2.50"}`: a Decimal becomes text, digit by digit, and the service reads it as the number that it says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def event_text(
    *,
    id: str,
    source: str,
    type: str,
    subject: str | None,
    time: datetime,
    resource: str | None,
    data: Mapping[str, Any],
) -> str:
    """The event as JSON in ASCII, without a line break; what is None is left out.

    Raises TypeError for a float or another value that JSON has no exact form for, ValueError for an empty text, a time
    without zone and a number that is not finite.
    """
    if time.tzinfo is None:
        raise ValueError("time has no zone; write datetime.now(UTC), for example")
    moment = time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    texts = {"id": id, "source": source, "type": type, "subject": subject, "time": moment, "resource": resource}
    for name, text in texts.items():
        _check_text(name, text)
    given = {name: text for name, text in texts.items() if text is not None}
    return json.dumps({"specversion": "1.0", **given, "data": _exact(data, "data")}, separators=(",", ":"))


def _check_text(name: str, text: object) -> None:
    if text is not None and not isinstance(text, str):
        raise TypeError(f"{name} is text, not {type(text).__name__}")
    if text == "" or (text is None and name in ("source", "type")):
        raise ValueError(f"{name} is empty")


def _exact(value: Any, place: str) -> Any:
    """The same value as JSON takes it, no number of it changed by a digit."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            raise TypeError(f"{place} is a float, which is not exact: use Decimal, int or text")
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"{place} is {value}, which is no number that can be billed")
            return format(value, "f")
        case Mapping():
            return {_name(key, place): _exact(item, f"{place}[{key!r}]") for key, item in value.items()}
        case list() | tuple():
            return [_exact(item, f"{place}[{index}]") for index, item in enumerate(value)]
        case _:
            raise TypeError(f"{place} is a {type(value).__name__}, which JSON does not have")


def _name(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{place} has the name {key!r}, which is not text")
    return key
