"""Endpoints of webhooks, what is asked of them, and what became of each delivery: the shape of the HTTP contract <->
domain values.

{"url": "https://erp.example/hooks", "events": ["invoice.*"], "enabled": true, "description": "the ERP", "tenant": null}
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events import instant_text
from app.domain.ids import NOBODY, parse_public_id, public_id
from app.domain.webhooks import ALL, MAX_EVENTS, MAX_URL_LENGTH, Endpoint, patterns
from app.outbound.destinations import Destinations
from app.storage.outbox_store import Delivery
from app.storage.webhook_store import StoredEndpoint
from app.wire.parsing import Fields
from app.wire.shown import Shown

MAX_DESCRIPTION_LENGTH = 1_000
MAX_REPLAYED_IDS = 1_000
_FACTS = (
    "created_at", "disabled_at", "disabled_reason", "failing_since", "previous_secret_expires_at",
)  # fmt: skip


def endpoint_from_wire(key: str, body: Any, *, allowed: Destinations) -> Endpoint:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    endpoint = Endpoint(
        fields.own_key(key), _url(fields, allowed), _events(fields), fields.boolean("enabled", default=True),
        fields.text("description", default="", max_length=MAX_DESCRIPTION_LENGTH), fields.optional_key("tenant"),
    )  # fmt: skip
    fields.ignore(*_FACTS)
    fields.finish()
    return endpoint


def _url(fields: Fields, allowed: Destinations) -> str:
    url = fields.text("url", max_length=MAX_URL_LENGTH)
    problem = allowed.url_problem(url) if url else None
    if problem is not None:
        fields.problem("url", problem)
    return url


def _events(fields: Fields) -> tuple[str, ...]:
    """The patterns, each once, in the order in which they were sent; all where none is named."""
    if not fields.has("events"):
        fields.ignore("events")
        return (ALL,)
    items, known = fields.items("events"), patterns()
    if not 1 <= len(items) <= MAX_EVENTS:
        fields.problem("events", f"must have 1 to {MAX_EVENTS} items")
    for index, item in enumerate(items[:MAX_EVENTS]):
        if item not in known:
            fields.problem(f"events/{index}", f"must be one of {', '.join(known)}")
    return tuple(dict.fromkeys(item for item in items if isinstance(item, str)))


def endpoint_to_wire(stored: StoredEndpoint) -> Shown:
    """Never with a secret."""
    endpoint, standing, until = stored.endpoint, stored.standing, stored.secrets.previous_until
    return {
        "key": endpoint.key, "url": endpoint.url, "events": list(endpoint.events), "enabled": endpoint.enabled,
        "description": endpoint.description or None, "tenant": endpoint.tenant,
        "created_at": instant_text(stored.created_at), "disabled_at": _instant(standing.disabled_at),
        "disabled_reason": standing.disabled_reason or None, "failing_since": _instant(standing.failing_since),
        "previous_secret_expires_at": _instant(until),
    }  # fmt: skip


def definition(shown: Shown) -> Shown:
    """What somebody has set of an endpoint: its entity tag stays while deliveries fail and succeed."""
    return {name: value for name, value in shown.items() if name not in _FACTS}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else instant_text(at)


# --- replay -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replay:
    """Which messages are delivered once more: announced from `since` to before `until`, of these ids, failed ones."""

    since: datetime | None
    until: datetime | None
    message_ids: frozenset[UUID] | None
    failed_only: bool


def replay_from_wire(body: Any) -> Replay:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    replay = Replay(
        fields.optional_instant("since"), fields.optional_instant("until"), _message_ids(fields),
        fields.boolean("failed_only"),
    )  # fmt: skip
    if fields.faultless and replay == Replay(None, replay.until, None, False):
        fields.problem("", "must name `since`, `ids` or `failed_only`: all that is kept is more than anybody wants")
    fields.finish()
    return replay


def _message_ids(fields: Fields) -> frozenset[UUID] | None:
    if not fields.has("ids"):
        fields.ignore("ids")
        return None
    items = fields.items("ids")
    if not 1 <= len(items) <= MAX_REPLAYED_IDS:
        fields.problem("ids", f"must have 1 to {MAX_REPLAYED_IDS} items")
    found: set[UUID] = set()
    for index, item in enumerate(items[:MAX_REPLAYED_IDS]):
        key = parse_public_id("msg", item) if isinstance(item, str) else None
        if key is None:
            fields.problem(f"ids/{index}", "must be the id of a message, such as msg_..")
        else:
            found.add(key[1])
    return frozenset(found)


# --- deliveries -------------------------------------------------------------------------------------------------------


def message_id(delivery: Delivery) -> str:
    """What receivers know the message by, at every try and in every replay."""
    return public_id("msg", delivery.message.tenant_id, delivery.message.message_id)


def delivery_to_wire(delivery: Delivery, *, endpoint: str | None, tenant: str | None) -> dict[str, Any]:
    """`endpoint` and `tenant` are keys."""
    return {
        "id": public_id("dlv", delivery.message.tenant_id, delivery.delivery_id), "message": message_id(delivery),
        "type": delivery.message.type, "endpoint": endpoint,
        "tenant": tenant if delivery.message.tenant_id != NOBODY else None, **tries_to_wire(delivery),
    }  # fmt: skip


def tries_to_wire(delivery: Delivery) -> dict[str, Any]:
    """How a delivery stands, whatever carries it."""
    last = delivery.log[-1] if delivery.log else {}
    pending = delivery.status == "pending"
    return {
        "status": delivery.status,
        "attempts": delivery.attempts, "next_attempt_at": instant_text(delivery.due_at) if pending else None,
        "last_attempt_at": last.get("at"), "last_status": last.get("status"), "last_error": last.get("error"),
        "created_at": instant_text(delivery.created_at), "ended_at": _instant(delivery.ended_at),
        "log": list(delivery.log),
    }  # fmt: skip
