"""CloudEvents 1.0 as JSON: one event, an array, or a line each -> usage events, and back.

One bad event never spoils its neighbours: each position of a readable body becomes an event or a `Rejected`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from app.domain.acceptance import Rejected
from app.domain.errors import Malformed, TooLarge, UnsupportedMediaType
from app.domain.events import (
    MAX_DEPTH,
    MAX_TEXT_LENGTH,
    UsageEvent,
    depth_exceeds,
    has_forbidden_text,
    instant_text,
    json_number,
    parse_data,
    parse_instant,
    parse_json,
)  # fmt: skip

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
PLAIN = "application/json"

_KNOWN = frozenset({"specversion", "id", "source", "type", "subject", "time", "resource", "data"})


class _Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    specversion: str | None = None
    id: str | None = None
    source: str | None = None
    type: str | None = None
    subject: str | None = None
    time: str | None = None
    resource: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_one = msgspec.json.Decoder(_Event)
_typed = msgspec.json.Decoder(list[_Event])
_many = msgspec.json.Decoder(list[msgspec.Raw])
_datas = msgspec.json.Decoder(list[dict[str, Any]], float_hook=json_number)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_exact = msgspec.json.Encoder(decimal_format="number")

Sent = list[UsageEvent | Rejected]

_USUAL_TIME_LENGTH = len("2026-11-01T08:00:00.123456Z")
_SHORT = min(MAX_TEXT_LENGTH.values())
"""Texts that together are no longer than this are each short enough."""


def decode_events(body: bytes, media_type: str, *, max_events: int) -> tuple[Sent, bool]:
    """The events of a body, and whether it is a single one. Raises Malformed, TooLarge or UnsupportedMediaType.

    `media_type` is the Content-Type without parameters, in lower case.
    """
    if media_type not in (SINGLE, BATCH, NDJSON, PLAIN):
        raise UnsupportedMediaType(f"Events come as {SINGLE}, {BATCH}, {PLAIN} or {NDJSON}.")
    if media_type in (BATCH, PLAIN) and (read := _read_at_once(body)) is not None:
        check_number(read, max_events)
        return _all_accepted(read, is_clean=b"\\u" not in body), False
    if media_type == NDJSON:
        items: Sequence[bytes | msgspec.Raw] = [line for line in body.split(b"\n") if line.strip()]
        single = False
    else:
        items, single = _items(body, media_type)
    check_number(items, max_events)
    return [_event(bytes(item)) for item in items], single


def event_from_value(value: Any) -> UsageEvent | Rejected:
    """The event that stands as a JSON value inside another body."""
    return _event(_exact.encode(value))


def structured_from_binary(headers: Iterable[tuple[str, str]], media_type: str, body: bytes) -> bytes:
    """The event of CloudEvents' binary mode as one JSON object: attributes from `ce-` headers, data from the body.

    Source: the HTTP protocol binding of CloudEvents 1.0, 3.1. Raises Malformed or UnsupportedMediaType.
    """
    if media_type not in ("", PLAIN) and not media_type.endswith("+json"):
        raise UnsupportedMediaType(f"In binary mode the body is the event's data: a JSON object, sent as {PLAIN}.")
    fields = {name[3:].lower(): _header_text(name, text) for name, text in headers if name.lower().startswith("ce-")}
    for name in ("data", "datacontenttype"):
        if name in fields:
            raise Malformed(
                f"In binary mode there is no header ce-{name}: data is the body, its type the Content-Type."
            )
    attributes = msgspec.json.encode(fields)
    if not body.strip():
        return attributes
    try:
        parse_json(without_lone_surrogates(body))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {str(error)[:200]}") from error
    return attributes[:-1] + b',"data":' + body + b"}"


def _header_text(name: str, value: str) -> str:
    """A header's text with its quotes and then its percent signs undone, once."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    try:
        return unquote_to_bytes(value.encode("latin-1")).decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"The header {name} is not percent-encoded UTF-8.") from error


def check_number(items: Sequence[object], max_events: int) -> None:
    """Raises TooLarge where one request holds too many events."""
    if len(items) > max_events:
        raise TooLarge(f"A request may hold at most {max_events} events.", limit_events=max_events)


def _read_at_once(body: bytes) -> list[_Event] | None:
    """All events of an array, where each is made of the usual fields: the quick way. None where one is not."""
    try:
        return _typed.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _items(body: bytes, media_type: str) -> tuple[Sequence[bytes | msgspec.Raw], bool]:
    is_array = body.lstrip(b" \t\r\n")[:1] == b"["
    if media_type == SINGLE and is_array:
        raise Malformed(f"A body of type {SINGLE} is one JSON object; send an array as {BATCH}.")
    if media_type == BATCH and not is_array:
        raise Malformed(f"A body of type {BATCH} is a JSON array of events.")
    try:
        return (_split(body), False) if is_array else ([_checked_object(body)], True)
    except RecursionError as error:
        raise Malformed("The body is nested too deeply.") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise Malformed(f"The body is not JSON: {str(error)[:200]}") from error


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        return _many.decode(body)
    except msgspec.DecodeError:
        # A lone surrogate makes the whole array unreadable. With a NUL in its place only its own event is.
        mended = without_lone_surrogates(body)
        if mended == body:
            raise
        return _many.decode(mended)


def _checked_object(body: bytes) -> bytes:
    """The body, once it is known to be one JSON value."""
    mended = without_lone_surrogates(body)
    if not isinstance(parse_json(mended), dict):
        raise ValueError("an event is a JSON object")
    return mended


_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)(?:\\u([dD][c-fC-F][0-9a-fA-F]{2}))?", re.DOTALL)


def without_lone_surrogates(body: bytes) -> bytes:
    """The same text with \\u0000 for every surrogate escape that has no partner: both are refused alike."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body

    def mend(match: re.Match[bytes]) -> bytes:
        code, partner = match.groups()
        first = code.lower() if code else b""
        is_high, is_low = first[:2] in (b"d8", b"d9", b"da", b"db"), first[:2] in (b"dc", b"dd", b"de", b"df")
        if is_high and partner:
            return match.group()
        lead = b"\\u0000" if is_high or is_low else match.group()[: len(match.group()) - (6 if partner else 0)]
        return lead + (b"\\u0000" if partner else b"")

    return _ESCAPE.sub(mend, body)


def _event(raw: bytes) -> UsageEvent | Rejected:
    try:
        sent, attributes = _decode(raw)
    except Fault as fault:
        return Rejected(fault.id, fault.pointer, fault.detail)
    return _accepted(sent, attributes, is_clean=False)


def _all_accepted(read: Sequence[_Event], *, is_clean: bool) -> Sent:
    """What `_accepted` makes of each; the usual ones with less ado."""
    times = _read_times([item.time for item in read]) if is_clean else None
    datas = None if times is None else _read_datas([item.data for item in read])
    if times is None or datas is None:
        return [_accepted(item, "", is_clean) for item in read]
    found: Sent = []
    for item, time, data in zip(read, times, datas, strict=True):
        event_id, source, event_type, subject, resource = item.id, item.source, item.type, item.subject, item.resource
        text = str(item.data, "utf-8")
        if (
            item.specversion == "1.0" and event_id and source and event_type and subject != "" and resource != ""
            and len(event_id) + len(source) + len(event_type) + len(subject or "") + len(resource or "") <= _SHORT
            and len(text) <= 2 * MAX_DEPTH
        ):  # fmt: skip
            found.append(UsageEvent(source, event_id, event_type, subject or "", resource or "", time, text, data))
        else:
            found.append(_accepted(item, "", is_clean))
    return found


def _read_times(texts: Sequence[str | None]) -> list[datetime] | None:
    """The times of all events, read in one call; None where one is absent or has to be looked at more closely: only of
    times in UTC with at most six decimals does msgspec make what `parse_instant` does."""
    if not all(text is not None and len(text) <= _USUAL_TIME_LENGTH and text[-1:] == "Z" for text in texts):
        return None
    try:
        return msgspec.convert(texts, list[datetime])
    except msgspec.ValidationError:
        return None


def _read_datas(raws: Sequence[msgspec.Raw]) -> list[dict[str, Any]] | None:
    """The data of all events, read in one call; None where one is no object or has to be looked at more closely."""
    try:
        return _datas.decode(b"[" + b",".join(raws) + b"]")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _accepted(sent: _Event, attributes: str, is_clean: bool) -> UsageEvent | Rejected:
    try:
        return _usage_event(sent, attributes, is_clean)
    except Fault as fault:
        return Rejected(sent.id, fault.pointer, fault.detail)


class Fault(Exception):
    """What is wrong with one event of a body, and where: `pointer` is relative to the event."""

    def __init__(self, pointer: str, detail: str, id: str | None = None) -> None:
        super().__init__(detail)
        self.pointer, self.detail, self.id = pointer, detail, id


def _decode(raw: bytes) -> tuple[_Event, str]:
    """The event's own fields, and further attributes as JSON text."""
    try:
        return _one.decode(raw), ""
    except msgspec.ValidationError:
        return _decode_slowly(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(raw, error) from error


def _unreadable(raw: bytes, error: Exception) -> Fault:
    mended = without_lone_surrogates(raw)
    if mended != raw:
        return Fault("", "a text holds a lone surrogate")
    return Fault("", f"not JSON that can be read: {str(error)[:200]}")


def _decode_slowly(raw: bytes) -> tuple[_Event, str]:
    """For events with further attributes or with fields of a wrong type: finds out which."""
    try:
        fields = _raw_object.decode(raw)
    except msgspec.ValidationError as error:
        raise Fault("", "an event is a JSON object") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(raw, error) from error
    known: dict[str, Any] = {}
    for name in _KNOWN & fields.keys():
        value = fields[name]
        known[name] = value if name == "data" else _text_or_null(name, bytes(value), fields)
    further = {name: value for name, value in fields.items() if name not in _KNOWN}
    if "data_base64" in further:
        raise Fault("/data_base64", "binary data cannot be measured; send `data` as a JSON object", known.get("id"))
    for name, value in further.items():
        if not re.fullmatch(r"[a-z0-9]{1,100}", name):
            detail = "a CloudEvents attribute has a name of lower-case letters and digits"
            raise Fault(f"/{_escaped(name)}", detail, known.get("id"))
        if bytes(value).lstrip()[:1] in (b"{", b"["):
            raise Fault(f"/{name}", "a CloudEvents attribute is a single value", known.get("id"))
    text = msgspec.json.encode(further).decode() if further else ""
    return _Event(**known), text


def _text_or_null(name: str, raw: bytes, fields: dict[str, msgspec.Raw]) -> str | None:
    value = parse_json(raw)
    if value is None or isinstance(value, str):
        return value
    own_id = parse_json(bytes(fields["id"])) if "id" in fields and name != "id" else None
    raise Fault(f"/{name}", f"{name} must be text", own_id if isinstance(own_id, str) else None)


def _usage_event(sent: _Event, attributes: str, is_clean: bool) -> UsageEvent:
    """`is_clean` says that nothing in the body is escaped by its code: then it holds no NUL and no lone surrogate."""
    if sent.specversion != "1.0":
        raise Fault("/specversion", 'specversion must be "1.0"')
    event_id, source, event_type = sent.id or "", sent.source or "", sent.type or ""
    subject, resource = sent.subject, sent.resource
    length = len(event_id) + len(source) + len(event_type) + len(subject or "") + len(resource or "")
    if is_clean and event_id and source and event_type and length <= _SHORT and subject != "" and resource != "":
        subject, resource = subject or "", resource or ""
    else:
        event_id, source, event_type = (
            _required(sent.id, "id"),
            _required(sent.source, "source"),
            _required(sent.type, "type"),
        )
        subject, resource = _optional(sent.subject, "subject"), _optional(sent.resource, "resource")
    time = None
    if sent.time is not None:
        try:
            time = parse_instant(sent.time)
        except ValueError as error:
            raise Fault("/time", str(error)) from error
    data_text, data = read_data(bytes(sent.data), is_clean)
    if attributes and ("\\u0000" in attributes and has_forbidden_text(parse_json(attributes))):
        raise Fault("", "an attribute holds a NUL character or lone surrogate")
    return UsageEvent(source, event_id, event_type, subject, resource, time, data_text, data, attributes)


def _required(value: str | None, name: str) -> str:
    if not value:
        raise Fault(f"/{name}", f"{name} is missing or empty")
    return _optional(value, name)


def _optional(value: str | None, name: str) -> str:
    if value is None:
        return ""
    if value == "":
        raise Fault(f"/{name}", f"{name} is empty; leave it out instead")
    if len(value) > MAX_TEXT_LENGTH[name]:
        raise Fault(f"/{name}", f"{name} is longer than {MAX_TEXT_LENGTH[name]} characters")
    if "\x00" in value:
        raise Fault(f"/{name}", f"{name} holds a NUL character or lone surrogate")
    return value


def read_data(raw: bytes, is_clean: bool) -> tuple[str, dict[str, Any]]:
    """The data's text and the object that it stands for; `{}` for nothing and for null. Raises Fault."""
    if raw[:1] != b"{" and raw.strip() in (b"", b"null"):
        return "{}", {}
    try:
        text = raw.decode()
        data = parse_data(text)
    except RecursionError as error:
        raise Fault("/data", "data is nested too deeply") from error
    except ValueError as error:
        lone = "truncated" in str(error)
        raise Fault("/data", "data holds a lone surrogate" if lone else str(error)[:200]) from error
    if (text.count("{") + text.count("[")) > MAX_DEPTH and depth_exceeds(data, MAX_DEPTH):
        raise Fault("/data", f"data is nested in more than {MAX_DEPTH} levels")
    if not is_clean and "\\u0000" in text and has_forbidden_text(data):
        raise Fault("/data", "data holds a NUL character or lone surrogate")
    return text, data


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def event_to_wire(event: UsageEvent) -> dict[str, Any]:
    """The event as it was sent; `data` and further attributes are the JSON texts received."""
    fields: dict[str, Any] = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    if event.subject:
        fields["subject"] = event.subject
    if event.time is not None:
        fields["time"] = instant_text(event.time)
    if event.resource:
        fields["resource"] = event.resource
    if event.attributes:
        fields |= _raw_object.decode(event.attributes)
    fields["data"] = msgspec.Raw(event.data_text.encode())
    return fields
