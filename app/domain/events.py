"""What is a usage event, and what makes two of them the same?

An event is a CloudEvents 1.0 fact. Its identity is (tenant, source, id); its content is what was sent: type, subject,
resource, time as an instant, and JSON-equal data. `{"kwh": 1.0}` sent again as `{ "kwh" : 1 }` is the same content;
sent again with another time it is not.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Literal

import msgspec

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
HOUR_MICROSECONDS = 3_600_000_000

MAX_TEXT_LENGTH = {"id": 255, "source": 2048, "type": 255, "subject": 255, "resource": 255}
MAX_DEPTH = 64

QuarantineReason = Literal["unknown_tenant", "unknown_type", "unknown_resource", "unmeasurable"]
QUARANTINE_REASONS: tuple[QuarantineReason, ...] = (
    "unknown_tenant", "unknown_type", "unknown_resource", "unmeasurable",
)  # fmt: skip


class AbsurdNumber(str):
    """A JSON number whose exponent no decimal can hold; kept as its text, never measured."""

    __slots__ = ()


class UsageEvent(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One event as sent. Absent texts are '', an absent time is None; `data_text` is the JSON object as received.

    `attributes` is the JSON text of further CloudEvents attributes, '' where there are none: they are kept, and are no
    part of the content.
    """

    source: str
    id: str
    type: str
    subject: str
    resource: str
    time: datetime | None
    data_text: str
    data: dict[str, Any]
    attributes: str = ""


def identity_of(source: str, event_id: str) -> bytes:
    """The 16-byte name of (source, id), the same for ever; unique together with the tenant."""
    return _hashed(f"{source}\0{event_id}")


_EMPTY = blake2b(digest_size=16)


def _hashed(text: str) -> bytes:
    """BLAKE2b of the text in 16 bytes. A copy of an empty one is made sooner than a new one."""
    digest = _EMPTY.copy()
    digest.update(text.encode())
    return digest.digest()


def content_digest(event: UsageEvent) -> bytes:
    """16 bytes that differ when a byte of the content does. Equal digests mean equal content, not the other way
    round."""
    return digest_at(event, None if event.time is None else microseconds(event.time))


def digest_at(event: UsageEvent, moment: int | None) -> bytes:
    """`content_digest`, where the microseconds of the event's time are known; None where it has no time."""
    # No text of an event holds a NUL character, so it can stand between them.
    moment_text = "" if moment is None else moment
    return _hashed(f"{event.type}\0{event.subject}\0{event.resource}\0{moment_text}\0{event.data_text}")


def microseconds(instant: datetime) -> int:
    """Whole microseconds since 1970-01-01T00:00Z, exactly."""
    return (instant - EARLIEST) // _MICROSECOND


def same_content(first: UsageEvent, second: UsageEvent) -> bool:
    """True when both say the same: bytes first, JSON-equal data where only the bytes differ."""
    if (first.type, first.subject, first.resource, first.time) != (
        second.type, second.subject, second.resource, second.time,
    ):  # fmt: skip
        return False
    return first.data_text == second.data_text or json_equal(first.data, second.data)


def json_equal(first: Any, second: Any) -> bool:
    """Equality of JSON values: numbers by value, objects without order; true is not 1."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(json_equal(first[key], second[key]) for key in first)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(json_equal, first, second))
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, AbsurdNumber) is not isinstance(second, AbsurdNumber):
        return False
    return bool(first == second)


# --- reading JSON without a float ------------------------------------------------------------------------------------


def json_number(text: str) -> Decimal | AbsurdNumber:
    """The exact value of a JSON number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return AbsurdNumber(text)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


_decoder = msgspec.json.Decoder(float_hook=json_number)


def parse_json(text: str | bytes) -> Any:
    """The JSON value; numbers are int or Decimal, digit by digit. Raises ValueError for anything that is not JSON."""
    try:
        return _decoder.decode(text)
    except msgspec.ValidationError:
        # An integer of thousands of digits: legal JSON that the fast reader refuses.
        return json.loads(text, parse_int=json_number, parse_float=json_number, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def parse_data(text: str) -> dict[str, Any]:
    """The object that stored data text stands for. Raises ValueError where it is not a JSON object."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("data is not a JSON object")
    return value


def depth_exceeds(value: Any, limit: int) -> bool:
    """True when arrays and objects are nested in more than `limit` levels."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True


def has_forbidden_text(value: Any) -> bool:
    """True when a string anywhere in the value (keys too) holds a NUL character or a lone surrogate."""
    if isinstance(value, str):
        return "\x00" in value or bool(_SURROGATE.search(value))
    if isinstance(value, dict):
        return any(has_forbidden_text(key) or has_forbidden_text(item) for key, item in value.items())
    return isinstance(value, list) and any(map(has_forbidden_text, value))


_SURROGATE = re.compile("[\ud800-\udfff]")

# --- time ------------------------------------------------------------------------------------------------------------

_CLOCK = r"(?:[01]\d|2[0-3]):\d\d:\d\d"
_USUAL_TIME = re.compile(rf"\d{{4}}-\d\d-\d\dT{_CLOCK}(?:\.\d{{1,6}})?Z", re.ASCII)
_RFC3339 = re.compile(rf"(\d{{4}}-\d\d-\d\d)[Tt ]({_CLOCK})(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))", re.ASCII)


def parse_instant(text: str) -> datetime:
    """The UTC instant of an RFC 3339 time with offset; digits past the microsecond are cut off. Raises ValueError."""
    if _USUAL_TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError as error:
            raise ValueError(f"not a time that exists: {error}") from error
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not an RFC 3339 time with an offset, such as 2026-11-01T08:00:00Z")
    day, clock, fraction, sign, hours, minutes = match.groups()
    try:
        instant = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}+00:00")
        if sign is None:
            return instant
        if int(hours) > 23 or int(minutes) > 59:
            raise ValueError("offset out of range")
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        return instant - offset if sign == "+" else instant + offset
    except (ValueError, OverflowError) as error:
        raise ValueError(f"not a time that exists: {error}") from error


def instant_text(instant: datetime) -> str:
    """RFC 3339 in UTC, with as many decimals of a second as it has: 2026-11-01T08:00:00Z."""
    moment = instant.astimezone(UTC)
    text = moment.isoformat()[:19]
    fraction = f".{moment.microsecond:06}".rstrip("0") if moment.microsecond else ""
    return f"{text}{fraction}Z"
