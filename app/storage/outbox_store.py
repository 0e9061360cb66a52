"""The outbox: messages written in the transaction that makes them true, and what became of each at each receiver.

A delivery that is due is taken by a plain UPDATE that moves its `due_at` to the end of a lease. Whoever takes it writes
down what came of it; when its process dies, the lease ends and the delivery is due again.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from app.domain.deliveries import Channel, Status, Verdict
from app.domain.ids import NOBODY, new_id
from app.storage.tables import outbox, outbox_deliveries, webhook_endpoints
from app.storage.types import Id, Instant
from app.storage.upserts import insert_missing

_LOGGED_TRIES = 30


@dataclass(frozen=True, slots=True)
class Message:
    """`tenant_id` is nil where no tenant is concerned; `seller_id` is another tenant that it concerns too,
    `document_id` the document that it sends by e-mail."""

    tenant_id: UUID
    message_id: UUID
    type: str
    payload: str
    created_at: datetime
    seller_id: UUID | None = None
    document_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """An endpoint, or the address of an e-mail."""

    channel: Channel
    endpoint_id: UUID = NOBODY
    recipient: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one receiver. `log` has its last tries, oldest first."""

    message: Message
    delivery_id: UUID
    receiver: Receiver
    status: Status
    attempts: int
    due_at: datetime
    since_at: datetime
    leased_by: str
    log: tuple[dict[str, Any], ...]
    created_at: datetime
    ended_at: datetime | None


# --- writing ----------------------------------------------------------------------------------------------------------


def add_message(connection: Connection, message: Message) -> None:
    connection.execute(
        outbox.insert().values(
            tenant_id=message.tenant_id, message_id=message.message_id, seller_id=message.seller_id, type=message.type,
            payload=message.payload, created_at=message.created_at, document_id=message.document_id,
        )
    )  # fmt: skip


def add_deliveries(connection: Connection, message: Message, receivers: Iterable[Receiver], now: datetime) -> None:
    """Deliveries that are due now, to the receivers that have none of the message yet."""
    rows = [
        {
            "tenant_id": message.tenant_id, "delivery_id": new_id(), "message_id": message.message_id,
            "channel": receiver.channel, "endpoint_id": receiver.endpoint_id, "recipient": receiver.recipient,
            "status": "pending", "attempts": 0, "due_at": now, "since_at": now, "leased_by": "", "log": "[]",
            "created_at": now, "ended_at": None,
        }
        for receiver in receivers
    ]  # fmt: skip
    insert_missing(connection, outbox_deliveries, rows)


# --- taking and recording ---------------------------------------------------------------------------------------------


def waiting(connection: Connection, now: datetime) -> list[tuple[Channel, UUID]]:
    """The receivers (channel, endpoint) of which something is due, whoever has waited longest first. Nothing is due
    at an endpoint that is disabled or gone."""
    key = outbox_deliveries.c.channel, outbox_deliveries.c.endpoint_id
    query = (
        sa.select(*key)
        .where(*_is_due(now), _may_be_sent())
        .group_by(*key)
        .order_by(sa.func.min(outbox_deliveries.c.due_at))
    )
    return [(row.channel, row.endpoint_id) for row in connection.execute(query)]


def lease(
    connection: Connection, channel: Channel, endpoint_id: UUID, *, holder: str, now: datetime, until: datetime,
    most: int,
) -> list[Delivery]:  # fmt: skip
    """Up to `most` due deliveries of one receiver, now this holder's, until then."""
    of_receiver = outbox_deliveries.c.channel == channel, outbox_deliveries.c.endpoint_id == endpoint_id
    query = _select().where(*of_receiver, *_is_due(now))
    found = [_delivery(row) for row in connection.execute(query.order_by(outbox_deliveries.c.due_at).limit(most))]
    taken = []
    for delivery in found:
        # The condition is asked again: of two that chose the same, the second updates nothing.
        changed = connection.execute(
            outbox_deliveries.update()
            .where(_is(delivery), *_is_due(now))
            .values(due_at=until, leased_by=holder, attempts=outbox_deliveries.c.attempts + 1)
        )
        if changed.rowcount:
            taken.append(replace(delivery, attempts=delivery.attempts + 1, due_at=until, leased_by=holder))
    return taken


def record(
    connection: Connection, delivery: Delivery, verdict: Verdict, entry: dict[str, Any], *, holder: str, now: datetime
) -> bool:
    """Writes down what came of a try; False where the lease has ended and somebody else has the delivery."""
    log = [*delivery.log, entry][-_LOGGED_TRIES:]
    values: dict[str, Any] = {
        "status": verdict.status, "leased_by": "", "log": json.dumps(log, ensure_ascii=False),
        "ended_at": None if verdict.status == "pending" else now,
    }  # fmt: skip
    if verdict.due_at is not None:
        values["due_at"] = verdict.due_at
    held = outbox_deliveries.c.leased_by == holder, outbox_deliveries.c.status == "pending"
    changed = connection.execute(outbox_deliveries.update().where(_is(delivery), *held).values(**values))
    return bool(changed.rowcount)


def _is_due(now: datetime) -> tuple[Any, ...]:
    return outbox_deliveries.c.status == "pending", outbox_deliveries.c.due_at <= now


def _may_be_sent() -> Any:
    enabled = sa.select(webhook_endpoints.c.endpoint_id).where(webhook_endpoints.c.enabled.is_(True))
    return sa.or_(outbox_deliveries.c.channel != "webhook", outbox_deliveries.c.endpoint_id.in_(enabled))


def _is(delivery: Delivery) -> Any:
    return sa.and_(
        outbox_deliveries.c.tenant_id == delivery.message.tenant_id,
        outbox_deliveries.c.delivery_id == delivery.delivery_id,
    )


# --- once more --------------------------------------------------------------------------------------------------------


def ask_again(connection: Connection, deliveries: Sequence[UUID], *, endpoint_id: UUID, now: datetime) -> None:
    """The deliveries are due now and tried as long as new ones are; one that is being tried is left alone."""
    if deliveries:
        connection.execute(
            outbox_deliveries.update()
            .where(
                outbox_deliveries.c.endpoint_id == endpoint_id, outbox_deliveries.c.delivery_id.in_(deliveries),
                outbox_deliveries.c.leased_by == "",
            )
            .values(status="pending", attempts=0, due_at=now, since_at=now, ended_at=None)
        )  # fmt: skip


def go_on(connection: Connection, endpoint_id: UUID, now: datetime) -> None:
    """What waits for the endpoint is due now and tried as long as new ones are: it was disabled in between."""
    connection.execute(
        outbox_deliveries.update()
        .where(
            outbox_deliveries.c.endpoint_id == endpoint_id, outbox_deliveries.c.status == "pending",
            outbox_deliveries.c.leased_by == "",
        )
        .values(attempts=0, due_at=now, since_at=now)
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that is kept, and its delivery to the endpoint that is asked about, where there is one."""

    message: Message
    delivery_id: UUID | None


def kept_for(
    connection: Connection, endpoint_id: UUID, *, since: datetime | None, until: datetime | None,
    message_ids: Collection[UUID] | None, failed_only: bool, after: UUID | None, limit: int,
) -> list[Kept]:  # fmt: skip
    """Kept messages in the order in which they were announced, each with its delivery to the endpoint. `since` and
    `until` bound the moment of announcement, half-open."""
    own = sa.and_(
        outbox_deliveries.c.tenant_id == outbox.c.tenant_id,
        outbox_deliveries.c.message_id == outbox.c.message_id,
        outbox_deliveries.c.endpoint_id == endpoint_id,
        outbox_deliveries.c.channel == "webhook",
    )
    query = sa.select(outbox, outbox_deliveries.c.delivery_id).outerjoin(outbox_deliveries, own)
    if since is not None:
        query = query.where(outbox.c.created_at >= since)
    if until is not None:
        query = query.where(outbox.c.created_at < until)
    if message_ids is not None:
        query = query.where(outbox.c.message_id.in_(sorted(message_ids)))
    if failed_only:
        query = query.where(outbox_deliveries.c.status == "failed")
    if after is not None:
        query = query.where(outbox.c.message_id > sa.literal(after, Id))
    rows = connection.execute(query.order_by(outbox.c.message_id).limit(limit))
    return [Kept(_message(row), row.delivery_id) for row in rows]


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Empty fields match everything. `tenant_id` is whom a message concerns, as buyer or as seller."""

    channel: Channel
    endpoint_ids: tuple[UUID, ...] | None = None
    status: Status | None = None
    type: str | None = None
    message: tuple[UUID, UUID] | None = None
    tenant_id: UUID | None = None
    document: tuple[UUID, UUID] | None = None


def find(connection: Connection, channel: Channel, tenant_id: UUID, delivery_id: UUID) -> Delivery | None:
    query = _select().where(
        outbox_deliveries.c.tenant_id == tenant_id, outbox_deliveries.c.delivery_id == delivery_id,
        outbox_deliveries.c.channel == channel,
    )  # fmt: skip
    row = connection.execute(query).first()
    return None if row is None else _delivery(row)


def of_message(connection: Connection, message: Message, receiver: Receiver) -> Delivery | None:
    query = _select().where(
        outbox_deliveries.c.tenant_id == message.tenant_id, outbox_deliveries.c.message_id == message.message_id,
        outbox_deliveries.c.endpoint_id == receiver.endpoint_id, outbox_deliveries.c.recipient == receiver.recipient,
    )  # fmt: skip
    row = connection.execute(query).first()
    return None if row is None else _delivery(row)


def listing(
    connection: Connection, wanted: DeliveryFilter, *, before: tuple[UUID, UUID] | None, limit: int
) -> list[Delivery]:
    """Deliveries, the newest first; those after the one that `before` names, as (own id, tenant)."""
    query = _select().where(outbox_deliveries.c.channel == wanted.channel)
    if wanted.endpoint_ids is not None:
        query = query.where(outbox_deliveries.c.endpoint_id.in_(wanted.endpoint_ids))
    if wanted.status is not None:
        query = query.where(outbox_deliveries.c.status == wanted.status)
    if wanted.type is not None:
        query = query.where(outbox.c.type == wanted.type)
    if wanted.tenant_id is not None:
        query = query.where(sa.or_(outbox.c.tenant_id == wanted.tenant_id, outbox.c.seller_id == wanted.tenant_id))
    if wanted.document is not None:
        query = query.where(
            outbox.c.tenant_id == wanted.document[0], outbox.c.document_id == wanted.document[1],
        )  # fmt: skip
    if wanted.message is not None:
        query = query.where(
            outbox_deliveries.c.tenant_id == wanted.message[0], outbox_deliveries.c.message_id == wanted.message[1]
        )
    place = outbox_deliveries.c.delivery_id, outbox_deliveries.c.tenant_id
    if before is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*(sa.literal(part, Id) for part in before)))
    rows = connection.execute(query.order_by(*(column.desc() for column in place)).limit(limit))
    return [_delivery(row) for row in rows]


def backlog(connection: Connection) -> dict[Channel, tuple[int, datetime]]:
    """By channel: how many deliveries are pending, and since when the oldest of them waits. What waits for an endpoint
    that is disabled is not counted."""
    columns = sa.func.count(), sa.func.min(outbox_deliveries.c.since_at, type_=Instant)
    query = sa.select(outbox_deliveries.c.channel, *columns)
    query = query.where(outbox_deliveries.c.status == "pending", _may_be_sent())
    return {row[0]: (row[1], row[2]) for row in connection.execute(query.group_by(outbox_deliveries.c.channel))}


# --- forgetting -------------------------------------------------------------------------------------------------------


def prune(connection: Connection, *, before: datetime, most: int) -> int:
    """Deletes up to so many messages announced before then, with their deliveries; how many there were. One that is
    still to be delivered stays."""
    pending = sa.exists().where(
        outbox_deliveries.c.tenant_id == outbox.c.tenant_id,
        outbox_deliveries.c.message_id == outbox.c.message_id,
        outbox_deliveries.c.status == "pending",
        _may_be_sent(),
    )
    query = sa.select(outbox.c.tenant_id, outbox.c.message_id).where(outbox.c.created_at < before, ~pending)
    found = [tuple(row) for row in connection.execute(query.order_by(outbox.c.created_at).limit(most))]
    for table in (outbox_deliveries, outbox):
        for tenant_id, message_id in found:
            connection.execute(table.delete().where(table.c.tenant_id == tenant_id, table.c.message_id == message_id))
    return len(found)


def _select() -> sa.Select[Any]:
    of_message = sa.and_(
        outbox.c.tenant_id == outbox_deliveries.c.tenant_id, outbox.c.message_id == outbox_deliveries.c.message_id
    )
    named = outbox.c.created_at.label("announced_at")
    of_outbox = outbox.c.seller_id, outbox.c.type, outbox.c.payload, outbox.c.document_id, named
    return sa.select(outbox_deliveries, *of_outbox).join(outbox, of_message)


def _message(row: Row[Any]) -> Message:
    return Message(row.tenant_id, row.message_id, row.type, row.payload, row.created_at, row.seller_id, row.document_id)


def _delivery(row: Row[Any]) -> Delivery:
    message = Message(
        row.tenant_id, row.message_id, row.type, row.payload, row.announced_at, row.seller_id, row.document_id
    )
    return Delivery(
        message, row.delivery_id, Receiver(row.channel, row.endpoint_id, row.recipient), row.status, row.attempts,
        row.due_at, row.since_at, row.leased_by, tuple(json.loads(row.log)), row.created_at, row.ended_at,
    )  # fmt: skip
