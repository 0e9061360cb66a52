"""Every way in which a list of events can be sent. Each function sends all of them and fails unless all are kept."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from typing import Any

from app.api.compression import zstd
from app.wire.events import BATCH, NDJSON, PLAIN, SINGLE
from tests.service import Api

Event = dict[str, Any]
Sender = Callable[[Api, Sequence[Event]], None]


def _post(api: Api, body: bytes, number: int, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = api.call("POST", "/v1/events", content=body, headers=named)
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] + answer.json()["duplicates"] == number, answer.text


def _text(events: Sequence[Event]) -> bytes:
    return json.dumps(events).encode()


def _single(api: Api, events: Sequence[Event]) -> None:
    for event in events:
        _post(api, json.dumps(event).encode(), 1, content_type=SINGLE)


def in_a_batch(api: Api, events: Sequence[Event]) -> None:
    _post(api, _text(events), len(events), content_type=BATCH)


def _plain_with_an_attribute(api: Api, events: Sequence[Event]) -> None:
    """A further attribute is no part of the content; it takes the event another way through the reader."""
    _post(api, _text([event | {"traceparent": "00-ab"} for event in events]), len(events), content_type=PLAIN)


def _lines(api: Api, events: Sequence[Event]) -> None:
    _post(api, b"\n".join(json.dumps(event).encode() for event in events), len(events), content_type=NDJSON)


def _binary(api: Api, events: Sequence[Event]) -> None:
    for event in events:
        attributes = {f"ce_{name}": value for name, value in event.items() if name != "data"}
        _post(api, json.dumps(event["data"]).encode(), 1, content_type=PLAIN, **attributes)


def _gzip(api: Api, events: Sequence[Event]) -> None:
    _post(api, gzip.compress(_text(events)), len(events), content_type=BATCH, content_encoding="gzip")


def _zstd(api: Api, events: Sequence[Event]) -> None:
    _post(api, zstd.compress(_text(events)), len(events), content_type=BATCH, content_encoding="zstd")


def _openmeter(api: Api, events: Sequence[Event]) -> None:
    answer = api.call("POST", "/openmeter/api/v1/events", content=_text(events), headers={"Content-Type": BATCH})
    assert answer.status_code == 204, answer.text


# One more way in is one more line here.
SENDERS: tuple[Sender, ...] = (_single, in_a_batch, _plain_with_an_attribute, _lines, _binary, _gzip, _zstd, _openmeter)
