"""Lago's events <-> usage events.

    {"transaction_id": "t-1", "external_subscription_id": "acme-1", "code": "energy", "timestamp": 1790000000.25,
     "properties": {"kwh": "7.25"}, "precise_total_amount_cents": "1234.56"}

is the event t-1 of the source lago/acme-1, of type `energy`, at .25 of that second, with the properties as its data.
The source names the subscription because their transaction ids are unique for each subscription, not for each company.
The subject is the tenant of that subscription; where there is none it is the subscription's name, and the event lies in
quarantine until a tenant claims that as a subject.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from uuid import UUID

import msgspec

from app.domain.acceptance import Rejected
from app.domain.errors import Malformed
from app.domain.events import EARLIEST, MAX_TEXT_LENGTH, UsageEvent, identity_of, instant_text, parse_json
from app.domain.paths import read_number
from app.wire.events import Fault, Sent, check_number, read_data, without_lone_surrogates
from app.wire.parsing import escaped

SOURCE = "lago/"
PRECISE = "precise_total_amount_cents"
_FIELDS = ("transaction_id", "external_subscription_id", "code", "timestamp", "properties", PRECISE)
FIELD_OF = {"/subject": "external_subscription_id", "/time": "timestamp"}
"""What they call the parts of an event that the catalog and the clock are asked about."""

_LAST_YEAR_BEGINS = Decimal(253_370_764_800)  # 9999-01-01, in seconds: beyond it there is no calendar
_MICROSECOND = Decimal("0.000001")

_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_raw_list = msgspec.json.Decoder(list[msgspec.Raw])

TenantsOf = Callable[[Collection[str]], Mapping[str, str]]
"""The tenant's key by the subscription's, for those of the subscriptions that there are."""


def decode_lago(body: bytes, *, is_batch: bool, max_events: int, tenants_of: TenantsOf) -> Sent:
    """The events of {"event": {..}}, or of {"events": [..]}. Raises Malformed or TooLarge."""
    items = _items(body, is_batch=is_batch)
    check_number(items, max_events)
    read = [_event(bytes(item)) for item in items]
    tenants = tenants_of({item.subject for item in read if isinstance(item, UsageEvent)})
    return [_of_tenant(item, tenants) if isinstance(item, UsageEvent) else item for item in read]


def _items(body: bytes, *, is_batch: bool) -> list[msgspec.Raw]:
    name = "events" if is_batch else "event"
    try:
        mended = without_lone_surrogates(body)
        parse_json(mended)  # what msgspec passes over as raw, it does not look through
        fields = _raw_object.decode(mended)
        if set(fields) != {name}:
            raise ValueError(f'the body is {{"{name}": ..}}')
        return _raw_list.decode(fields[name]) if is_batch else [fields[name]]
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Malformed(f"The body cannot be read: {str(error)[:200]}") from error


def _of_tenant(event: UsageEvent, tenants: Mapping[str, str]) -> UsageEvent:
    return msgspec.structs.replace(event, subject=tenants.get(event.subject, event.subject))


def _event(raw: bytes) -> UsageEvent | Rejected:
    """The event with its subscription as its subject."""
    event_id = None
    try:
        try:
            fields = _raw_object.decode(raw)
        except msgspec.ValidationError as error:
            raise Fault("", "an event is a JSON object") from error
        event_id = _text(fields, "transaction_id")
        for name in fields:
            if name not in _FIELDS:
                raise Fault(f"/{escaped(name)}", "there is no such field")
        subscription = _text(fields, "external_subscription_id")
        data_text, data = _data(fields)
        return UsageEvent(
            f"{SOURCE}{subscription}", event_id, _text(fields, "code"), subscription, "", _instant(fields), data_text,
            data,
        )  # fmt: skip
    except Fault as fault:
        return Rejected(event_id, fault.pointer, fault.detail)


def _value(fields: Mapping[str, msgspec.Raw], name: str) -> Any:
    return parse_json(bytes(fields[name])) if name in fields else None


def _text(fields: Mapping[str, msgspec.Raw], name: str) -> str:
    value = _value(fields, name)
    if value is None or value == "":
        raise Fault(f"/{name}", f"{name} is missing or empty")
    if not isinstance(value, str):
        raise Fault(f"/{name}", f"{name} must be text")
    if len(value) > MAX_TEXT_LENGTH["id"]:
        raise Fault(f"/{name}", f"{name} is longer than {MAX_TEXT_LENGTH['id']} characters")
    if "\x00" in value:
        raise Fault(f"/{name}", f"{name} holds a NUL character or lone surrogate")
    return value


def _instant(fields: Mapping[str, msgspec.Raw]) -> datetime | None:
    """The instant of a count of seconds since 1970, a number or its text; digits past the microsecond are cut off."""
    value = _value(fields, "timestamp")
    if value is None:
        return None
    seconds = read_number(value)
    if seconds is None or abs(seconds) >= _LAST_YEAR_BEGINS:
        raise Fault("/timestamp", "timestamp must be seconds since 1970, as a number or text, such as 1790000000.25")
    microseconds = int(seconds.quantize(_MICROSECOND, ROUND_FLOOR).scaleb(6))
    try:
        return EARLIEST + timedelta(microseconds=microseconds)
    except OverflowError as error:
        raise Fault("/timestamp", "timestamp is before 1970") from error


def _data(fields: Mapping[str, msgspec.Raw]) -> tuple[str, dict[str, Any]]:
    """The properties; a precise amount is one of them, so that a meter can sum it."""
    try:
        text, data = read_data(bytes(fields.get("properties", b"")), is_clean=False)
        if _value(fields, PRECISE) is None:
            return text, data
        if read_number(_value(fields, PRECISE)) is None:
            raise Fault(f"/{PRECISE}", f"{PRECISE} is not a number within bounds")
        if PRECISE in data:
            raise Fault(f"/properties/{PRECISE}", f"{PRECISE} is there twice")
        return read_data(msgspec.json.encode(_raw_object.decode(text) | {PRECISE: fields[PRECISE]}), is_clean=False)
    except Fault as fault:
        raise Fault(fault.pointer.replace("/data", "/properties"), fault.detail) from fault


def event_to_lago(event: UsageEvent, *, received_at: datetime, is_new: bool) -> dict[str, Any]:
    """The event in their shape. When it was first received is known only of a new one."""
    properties = dict(_raw_object.decode(event.data_text))
    amount = event.data.get(PRECISE)
    properties.pop(PRECISE, None)
    return {
        "lago_id": str(UUID(bytes=identity_of(event.source, event.id))), "transaction_id": event.id,
        "lago_customer_id": None, "code": event.type, "timestamp": instant_text(event.time or received_at),
        "lago_subscription_id": None, "external_subscription_id": event.source.removeprefix(SOURCE),
        PRECISE: None if amount is None else str(amount), "properties": properties,
        "created_at": instant_text(received_at) if is_new else None,
    }  # fmt: skip
