"""What did the service say to a batch? One of three things: its word on each event, that the batch can not be taken, or
nothing yet.

Only the first two settle an event. Whatever else comes (no connection, a 503, the page of a proxy) leaves it waiting:
sent again with the same id it counts once.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

OUTCOMES = ("accepted", "duplicates", "conflicts", "quarantined", "rejected")

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_CONNECT_SECONDS = 10
_COMPRESS_OVER_BYTES = 1024
"""A smaller body gains nothing: it is one packet either way."""
_REFUSED = (400, 413, 415, 422)
_PASSING = (408, 425, 429)


@dataclass(frozen=True, slots=True)
class Answered:
    """The service's word on every event: how many of each outcome, and the exceptions by position."""

    counts: dict[str, int]
    exceptions: tuple[tuple[int, dict[str, Any]], ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The service takes nothing of this batch, however often it is sent."""

    status: int
    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """No word on any event. `is_lasting` where a person must do something first: another key, another address."""

    reason: str
    retry_after_seconds: float | None = None
    is_lasting: bool = False


def connect(base_url: str, *, api_key: str, timeout_seconds: float) -> httpx.Client:
    """A client for a service, to be closed by the caller. Raises ValueError for what is no address or no key."""
    address = urlsplit(base_url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"{base_url!r} is no address of a service; write http://host:port, without /v1")
    if address.path.rstrip("/").endswith("/v1"):
        raise ValueError(f"{base_url!r} says too much: leave /v1 out")
    if not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise ValueError("an API key is printable ASCII without a space at either end")
    return httpx.Client(
        base_url=base_url,
        headers={"Authorization": f"Bearer {api_key}", "Content-Type": "application/cloudevents-batch+json"},
        timeout=httpx.Timeout(timeout_seconds, connect=min(_CONNECT_SECONDS, timeout_seconds)),
        # A proxy named in the environment has no business between this process and its neighbour.
        trust_env=address.hostname not in _LOOPBACK,
    )


def post(client: httpx.Client, events: Sequence[str]) -> Answered | Refused | Unanswered:
    """What the service says to these events, asked once."""
    body, headers = f"[{','.join(events)}]".encode(), {}
    if len(body) > _COMPRESS_OVER_BYTES:
        body, headers = gzip.compress(body, compresslevel=6), {"Content-Encoding": "gzip"}
    try:
        response = client.post("/v1/events", content=body, headers=headers)
    except httpx.HTTPError as error:
        # It may or may not have arrived; sending it again is safe either way.
        return Unanswered(str(error) or type(error).__name__)
    return _read(response, len(events))


def _read(response: httpx.Response, sent: int) -> Answered | Refused | Unanswered:
    body = _json_object(response)
    if response.status_code == 200:
        return _answers(body, sent) or Unanswered("an answer that does not account for every event", is_lasting=True)
    reason = f"{response.status_code} {body.get('detail') or response.reason_phrase}"
    if response.status_code in _REFUSED:
        detail = response.text[:200] or response.reason_phrase
        return Refused(response.status_code, body or {"status": response.status_code, "detail": detail})
    is_passing = response.status_code in _PASSING or response.status_code >= 500
    return Unanswered(reason, _retry_after_seconds(response), is_lasting=not is_passing)


def _answers(body: dict[str, Any], sent: int) -> Answered | None:
    counts = {name: body.get(name) for name in OUTCOMES}
    numbers = [count for count in counts.values() if type(count) is int]
    exceptions = body.get("exceptions")
    if len(numbers) < len(OUTCOMES) or sum(numbers) != sent or not isinstance(exceptions, list):
        return None
    if not all(_is_exception(item, sent) for item in exceptions):
        return None
    return Answered(dict(zip(OUTCOMES, numbers, strict=True)), tuple((item["index"], item) for item in exceptions))


def _is_exception(item: Any, sent: int) -> bool:
    return isinstance(item, dict) and type(item.get("index")) is int and 0 <= item["index"] < sent


def _json_object(response: httpx.Response) -> dict[str, Any]:
    try:
        value = response.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _retry_after_seconds(response: httpx.Response) -> float | None:
    """Seconds until the service wants to be asked again (RFC 9110: a number or a date); None where it does not say."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else max(0.0, (moment - datetime.now(UTC)).total_seconds())
