"""Processes that are killed while they announce and while they deliver: what is committed is told of, nothing else is,
and every message arrives under its one id."""

from __future__ import annotations

import json
import random
import socket
from collections import Counter, defaultdict
from multiprocessing.context import ForkServerProcess as Process
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.domain.ids import NOBODY
from app.domain.webhooks import Endpoint
from app.operations.announce import announce
from app.operations.put_endpoint import put_endpoint
from app.storage.database import Database
from app.storage.tables import outbox, outbox_deliveries
from tests.crash.running import command, utc_now, wait_until
from tests.crash.test_closing import World
from tests.receiver import TAKEN, Got, receiving

MESSAGES = 40
SETTINGS = {
    "QUOTEPART_WEBHOOK_HTTP": "yes", "QUOTEPART_WEBHOOK_NETWORKS": "127.0.0.0/8", "QUOTEPART_WEBHOOK_SECONDS": "1",
}  # fmt: skip


def start_worker(database_url: str, log: Path) -> Process:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return command(database_url, ["work", "--metrics-port", str(port)], log, SETTINGS)


def test_every_message_arrives_however_often_its_sender_is_killed(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    """Every ninth message kills the worker that brings it before it is answered: it and what else was on its way comes
    again when the lease has ended, from another worker."""
    workers: list[Process] = []
    kills = 0

    def answer(got: Got) -> Any:
        nonlocal kills
        if len(receiver.got) % 9 == 0 and kills < 4:
            kills += 1
            workers[-1].kill()
        return TAKEN

    def all_delivered() -> bool:
        if not workers[-1].is_alive():
            workers[-1].join()
            workers.append(start_worker(database_url, tmp_path / "work.log"))
        query = sa.select(sa.func.count()).where(outbox_deliveries.c.status != "delivered")
        return database.read(lambda connection: connection.execute(query).scalar_one()) == 0

    with receiving() as receiver:
        receiver.answer = answer
        made = put_endpoint(database, Endpoint("erp", receiver.url, ("*",)), now=utc_now())
        for number in range(MESSAGES):
            database.write(lambda it, n=number: announce(it, "alert.crossed", NOBODY, {"n": n}, now=utc_now()))  # type: ignore[misc]
        workers.append(start_worker(database_url, tmp_path / "work.log"))
        try:
            wait_until(all_delivered, "everything to be delivered")
        finally:
            workers[-1].kill()

    bodies = defaultdict(set)
    for got in receiver.got:
        got.verified(made.secret or "", utc_now())
        bodies[got.id].add(got.body)
    assert kills == 4
    assert sorted(json.loads(body)["data"]["n"] for found in bodies.values() for body in found) == [*range(MESSAGES)]
    assert all(len(found) == 1 for found in bodies.values()), "one id, one content"
    assert max(Counter(got.id for got in receiver.got).values()) > 1, "what was on its way came again"


def test_what_a_killed_close_has_committed_is_announced_and_nothing_else(
    database_url: str, database: Database, tmp_path: Path
) -> None:
    """Closings of one month after another are killed at any moment; in the end each document has one message."""
    rng = random.Random(11)
    world = World(database, 12)
    world.use(rng, 60, months=range(1, 5))
    put_endpoint(database, Endpoint("erp", "https://erp.invalid/", ("invoice.*", "credit_note.*")), now=utc_now())
    for month in (2, 3, 4, 5):
        closing = command(database_url, ["close", "--through", f"2026-{month:02}-01"], tmp_path / "close.log")
        closing.join(rng.uniform(0.3, 2.0))
        closing.kill()
        closing.join()
        assert told(database) == {document.id for document in world.documents()}
    world.close(4)

    documents = world.documents()
    assert told(database) == {document.id for document in documents} and len(documents) >= 48


def told(database: Database) -> set[str]:
    """The documents that messages name, each of which is named once."""
    query = sa.select(outbox.c.payload)
    payloads = database.read(lambda connection: connection.execute(query).scalars().all())
    named = Counter(json.loads(payload)["data"]["id"] for payload in payloads)
    assert set(named.values()) <= {1}
    return set(named)
