"""Deliver messages once more to an endpoint, or a test message to it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict
from app.domain.ids import NOBODY, new_id
from app.domain.webhooks import TEST_TYPE, Listener
from app.operations.announce import payload_text
from app.storage import outbox_store
from app.storage.database import Database
from app.storage.outbox_store import Delivery, Kept, Message, Receiver
from app.storage.webhook_store import StoredEndpoint
from app.wire.webhooks import Replay

_TOGETHER = 500


def replay_messages(database: Database, stored: StoredEndpoint, replay: Replay, *, now: datetime) -> int:
    """How many messages are delivered to the endpoint once more, or for the first time where it was not there or was
    disabled when they were announced. Raises Conflict where it is disabled."""
    _check_enabled(stored)
    count, after = 0, None
    while True:
        found, queued = database.write(
            lambda connection, after=after: _replay(connection, stored, replay, after, now)  # type: ignore[misc]
        )
        count += queued
        if len(found) < _TOGETHER:
            return count
        after = found[-1].message.message_id


def _replay(
    connection: Connection, stored: StoredEndpoint, replay: Replay, after: UUID | None, now: datetime
) -> tuple[list[Kept], int]:
    found = outbox_store.kept_for(
        connection, stored.endpoint_id, since=replay.since, until=replay.until, message_ids=replay.message_ids,
        failed_only=replay.failed_only, after=after, limit=_TOGETHER,
    )  # fmt: skip
    listener = Listener(stored.endpoint_id, stored.endpoint.events, True, stored.tenant_id)
    again = [kept.delivery_id for kept in found if kept.delivery_id is not None]
    missed = [
        kept.message
        for kept in found
        if kept.delivery_id is None
        and listener.hears(kept.message.type, (kept.message.tenant_id, kept.message.seller_id))
    ]
    outbox_store.ask_again(connection, again, endpoint_id=stored.endpoint_id, now=now)
    for message in missed:
        outbox_store.add_deliveries(connection, message, [Receiver("webhook", stored.endpoint_id)], now)
    return found, len(again) + len(missed)


def send_test(database: Database, stored: StoredEndpoint, *, now: datetime) -> Delivery:
    """The delivery of a message that says nothing but that it is a test. Raises Conflict where the endpoint is
    disabled."""
    _check_enabled(stored)
    facts = {"endpoint": stored.endpoint.key, "detail": "This is a test: nothing has happened."}
    tenant_id = stored.tenant_id or NOBODY
    message = Message(tenant_id, new_id(), TEST_TYPE, payload_text(TEST_TYPE, facts, now), now)
    receiver = Receiver("webhook", stored.endpoint_id)

    def work(connection: Connection) -> Delivery:
        outbox_store.add_message(connection, message)
        outbox_store.add_deliveries(connection, message, [receiver], now)
        delivery = outbox_store.of_message(connection, message, receiver)
        assert delivery is not None
        return delivery

    return database.write(work)


def _check_enabled(stored: StoredEndpoint) -> None:
    if not stored.endpoint.enabled:
        raise Conflict("This endpoint is disabled: enable it first.", key=stored.endpoint.key)
