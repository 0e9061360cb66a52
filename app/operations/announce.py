"""Say that something has happened, in the transaction that makes it true: sent once that commits, and never if not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.events import instant_text
from app.domain.ids import new_id
from app.domain.webhooks import EVENT_TYPES, Listener
from app.storage import outbox_store, webhook_store
from app.storage.outbox_store import Message, Receiver


def announce(
    connection: Connection, type: str, tenant_id: UUID, facts: Mapping[str, Any], *, now: datetime,
    seller_id: UUID | None = None, listeners: Sequence[Listener] | None = None,
) -> None:  # fmt: skip
    """Writes the message for the endpoints that hear it; nothing at all where no endpoint asks for its type.
    `listeners` are all that there are, where the transaction has read them.

    `tenant_id` is the tenant that it concerns (`NOBODY`: none), `seller_id` another one that may hear of it. `facts`
    are its `data`: ids, numbers, totals and links, JSON-ready, a few hundred bytes. A new type belongs into
    EVENT_TYPES.
    """
    assert type in EVENT_TYPES, type
    if listeners is None:
        listeners = webhook_store.listeners(connection)
    hearing = [each for each in listeners if each.hears(type, (tenant_id, seller_id))]
    if hearing:
        message = Message(tenant_id, new_id(), type, payload_text(type, facts, now), now, seller_id)
        outbox_store.add_message(connection, message)
        outbox_store.add_deliveries(connection, message, _receivers(hearing), now)


def payload_text(type: str, facts: Mapping[str, Any], now: datetime) -> str:
    """The body that is posted, fixed from here on: every try sends and signs these bytes."""
    body = {"type": type, "timestamp": instant_text(now), "data": facts}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _receivers(hearing: list[Listener]) -> list[Receiver]:
    """Only those that are enabled: what a disabled endpoint missed can be replayed to it."""
    return [Receiver("webhook", each.endpoint_id) for each in hearing if each.enabled]
