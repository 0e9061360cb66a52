"""Send waiting messages: take what is due, send it outside of any transaction, write down what came of it.

Each message reaches each of its receivers at least once, under one id, in no promised order: whoever is killed between
the sending and the writing down leaves a delivery that is due again when its lease ends.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.deliveries import Channel, Outcome, decide, fails_for_too_long
from app.domain.events import instant_text
from app.observability import metrics
from app.operations.mail_document import hand_to_server
from app.outbound.mail import MailServer
from app.outbound.webhooks import Post, Poster
from app.storage import outbox_store, webhook_store
from app.storage.database import Database
from app.storage.outbox_store import Delivery
from app.storage.webhook_store import StoredEndpoint
from app.wire.webhooks import message_id

_log = logging.getLogger("quotepart.webhooks")

MOST_AT_ONE_RECEIVER = 4
"""How many messages go to one receiver at a time: a slow one leaves the others their turn."""

_PRUNED_TOGETHER = 500

Receiver = tuple[Channel, UUID]


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery that this worker is to send, with the endpoint that it goes to."""

    delivery: Delivery
    endpoint: StoredEndpoint | None
    holder: str

    @property
    def receiver(self) -> Receiver:
        return self.delivery.receiver.channel, self.delivery.receiver.endpoint_id


def take_due(
    database: Database, *, holder: str, now: datetime, leases: Mapping[Channel, timedelta], free: int,
    busy: Mapping[Receiver, int],
) -> list[Taken]:  # fmt: skip
    """Up to `free` due deliveries, now this holder's, whoever has waited longest first; of a receiver no more than it
    may have at a time, those that it is `busy` with included. Channels without a lease are left alone."""
    waiting = database.read(lambda connection: outbox_store.waiting(connection, now))
    if not any(channel in leases for channel, _ in waiting):
        return []

    def work(connection: Connection) -> list[Taken]:
        taken: list[Taken] = []
        endpoints = webhook_store.find_many(connection, {endpoint_id for _, endpoint_id in waiting})
        for channel, endpoint_id in waiting:
            most = min(free - len(taken), MOST_AT_ONE_RECEIVER - busy.get((channel, endpoint_id), 0))
            if most <= 0 or channel not in leases:
                continue
            found = outbox_store.lease(
                connection, channel, endpoint_id, holder=holder, now=now, until=now + leases[channel], most=most
            )
            taken += [Taken(delivery, endpoints.get(endpoint_id), holder) for delivery in found]
        return taken

    return database.write(work)


def deliver_outbox(
    database: Database, taken: Taken, poster: Poster, *, clock: Callable[[], datetime],
    mail_server: MailServer | None = None,
) -> Outcome:  # fmt: skip
    """What came of one try, once that is written down."""
    began_at, began = clock(), time.monotonic()
    outcome = _sent(database, taken, poster, mail_server, began_at)
    seconds = time.monotonic() - began
    now = clock()
    status = database.write(lambda connection: _record(connection, taken, outcome, began_at, seconds, now))
    metrics.DELIVERIES.labels(taken.delivery.receiver.channel, status or "lost").inc()
    metrics.DELIVERY_SECONDS.labels(taken.delivery.receiver.channel).observe(seconds)
    facts = {"message_id": message_id(taken.delivery), "type": taken.delivery.message.type,
             "attempt": taken.delivery.attempts, "status": outcome.status}  # fmt: skip
    if outcome.is_taken:
        _log.info("message delivered", extra=facts)
    else:
        _log.warning("message not delivered", extra=facts | {"error": outcome.error, "delivery": status or "lost"})
    return outcome


def _sent(database: Database, taken: Taken, poster: Poster, mail_server: MailServer | None, at: datetime) -> Outcome:
    try:
        if taken.endpoint is not None:
            return poster.post(_post(taken.delivery, taken.endpoint, at), at=at)
        assert mail_server is not None
        return hand_to_server(database, taken.delivery, mail_server, now=at)
    except Exception:
        _log.exception("a message could not be sent")
        return Outcome(error="unexpected error; it was logged")


def _post(delivery: Delivery, stored: StoredEndpoint, at: datetime) -> Post:
    secrets = stored.secrets.in_force(at)
    return Post(stored.endpoint.url, message_id(delivery), delivery.message.payload, secrets)


def _record(
    connection: Connection, taken: Taken, outcome: Outcome, began_at: datetime, seconds: float, now: datetime
) -> str | None:
    """How the delivery stands now; None where its lease had ended and another worker has it."""
    _note_endpoint(connection, taken, outcome, now)
    delivery = taken.delivery
    verdict = decide(
        outcome, attempts=delivery.attempts, since=delivery.since_at, now=now,
        chance=random.random(),  # noqa: S311 - spreads tries, no secret
    )  # fmt: skip
    entry: dict[str, Any] = {
        "at": instant_text(began_at), "status": outcome.status, "error": outcome.error or None,
        "seconds": round(seconds, 3),
    }  # fmt: skip
    recorded = outbox_store.record(connection, delivery, verdict, entry, holder=taken.holder, now=now)
    if not recorded:
        return None
    return "retried" if verdict.status == "pending" else verdict.status


def _note_endpoint(connection: Connection, taken: Taken, outcome: Outcome, now: datetime) -> None:
    """Whether the endpoint fails, and since when; one that is gone, or has failed for days, is disabled."""
    if taken.endpoint is None:
        return
    endpoint_id, key = taken.endpoint.endpoint_id, taken.endpoint.endpoint.key
    if outcome.is_taken:
        webhook_store.note_success(connection, endpoint_id)
        return
    since = webhook_store.note_failure(connection, endpoint_id, now)
    reason = ""
    if outcome.is_gone:
        reason = "it answered 410 Gone"
    elif fails_for_too_long(since, now):
        assert since is not None
        reason = f"every try since {instant_text(since)} has failed, the last one because: {outcome.error}"[:500]
    if reason and webhook_store.disable(connection, endpoint_id, reason=reason, now=now):
        _log.error("webhook endpoint disabled", extra={"endpoint": key, "reason": reason})


def prune_outbox(database: Database, *, before: datetime, keep_going: Callable[[], bool]) -> int:
    """How many messages announced before then were deleted with the log of their deliveries; what is still to be
    delivered stays."""
    count = 0
    while keep_going():
        pruned = database.write(lambda connection: outbox_store.prune(connection, before=before, most=_PRUNED_TOGETHER))
        count += pruned
        if pruned < _PRUNED_TOGETHER:
            break
    return count
