"""Messages from the announcement to the receiver, with a clock that the test sets."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain.callers import Caller
from app.domain.errors import Conflict
from app.domain.ids import NOBODY, new_id, parse_public_id
from app.domain.webhooks import Endpoint
from app.operations.announce import announce
from app.operations.deliver_outbox import MOST_AT_ONE_RECEIVER, Taken, deliver_outbox, prune_outbox, take_due
from app.operations.put_endpoint import put_endpoint, rotate_secret
from app.operations.put_tenant import put_tenant
from app.operations.replay_messages import replay_messages, send_test
from app.operations.show_webhooks import find_endpoint, list_deliveries
from app.outbound.destinations import Destinations
from app.outbound.webhooks import Post, Poster
from app.settings import Settings
from app.storage import tenant_store
from app.storage.database import Database
from app.storage.outbox_store import DeliveryFilter
from app.storage.tables import outbox, outbox_deliveries
from app.wire.tenants import tenant_from_wire
from app.wire.webhooks import Replay, message_id
from app.workers.deliverer import Deliverer
from tests.receiver import TAKEN, Receiver, receiving
from tests.service import ACME

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEASE = timedelta(seconds=35)
HERE = Destinations(True, Settings(webhook_networks="127.0.0.0/8").networks())
ADMIN = Caller(frozenset({"admin"}))
ALL = Replay(since=datetime(2026, 1, 1, tzinfo=UTC), until=None, message_ids=None, failed_only=False)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


class World:
    """A database, a clock, and the words of the tests."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.poster = Poster(HERE, seconds=10)

    def endpoint(self, url: str, key: str = "erp", **rest: Any) -> str:
        """The secret of an endpoint for everything, unless said otherwise."""
        made = put_endpoint(self.database, replace(Endpoint(key, url, ("*",)), **rest), now=self.now)
        return made.secret or ""

    def tell(self, n: int = 0, type: str = "alert.crossed", **rest: Any) -> None:
        tenant_id = rest.pop("tenant_id", NOBODY)
        self.database.write(lambda it: announce(it, type, tenant_id, {"n": n}, now=self.now, **rest))

    def take(self, holder: str = "test", **rest: Any) -> list[Taken]:
        wanted: dict[str, Any] = {"free": 100, "busy": {}, "leases": {"webhook": LEASE}} | rest
        return take_due(self.database, holder=holder, now=self.now, **wanted)

    def deliver(self) -> int:
        """Sends what is due, over and over; how many tries that were."""
        count = 0
        while taken := self.take():
            for item in taken:
                deliver_outbox(self.database, item, self.poster, clock=lambda: self.now)
            count += len(taken)
        return count

    def deliveries(self, **rest: Any) -> list[dict[str, Any]]:
        """Oldest first."""
        wanted = DeliveryFilter("webhook", **rest)
        return list_deliveries(self.database, ADMIN, wanted, endpoint=None, before=None, limit=1000)[::-1]

    def shown(self, key: str = "erp") -> Any:
        return find_endpoint(self.database, key, ADMIN)

    def rows(self, table: sa.Table) -> int:
        query = sa.select(sa.func.count()).select_from(table)
        return int(self.database.read(lambda connection: connection.execute(query).scalar_one()))

    def tenant(self, key: str) -> Any:
        put_tenant(self.database, tenant_from_wire(key, ACME | {"name": key, "subjects": []}), now=self.now)
        found = self.database.read(lambda connection: tenant_store.find(connection, key))
        assert found is not None
        return found.tenant_id


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


def refusing(status: int, **headers: str) -> Callable[[Any], Any]:
    return lambda _got: (status, headers, b"no")


# --- what is written --------------------------------------------------------------------------------------------------


def test_where_nobody_hears_nothing_is_written(world: World, receiver: Receiver) -> None:
    world.tell()
    world.endpoint(receiver.url, events=("invoice.*",))
    world.tell()

    assert (world.rows(outbox), world.rows(outbox_deliveries)) == (0, 0)


def test_what_is_rolled_back_was_never_announced(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)

    def work(connection: Any) -> None:
        announce(connection, "alert.crossed", NOBODY, {}, now=NOW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        world.database.write(work)

    assert (world.deliver(), receiver.got) == (0, [])


def test_an_endpoint_of_a_tenant_hears_what_it_buys_and_sells_and_nothing_else(
    world: World, receiver: Receiver
) -> None:
    acme, birch = world.tenant("acme"), world.tenant("birch")
    world.endpoint(receiver.url, tenant="acme", events=("invoice.*", "alert.crossed"))
    world.tell(1, tenant_id=acme)
    world.tell(2, "invoice.issued", tenant_id=birch, seller_id=acme)
    world.tell(3, tenant_id=birch)
    world.tell(4)
    world.tell(5, "credit_note.issued", tenant_id=acme)

    world.deliver()

    assert sorted(json.loads(got.body)["data"]["n"] for got in receiver.got) == [1, 2]


def test_a_payload_is_fixed_when_it_is_announced(world: World, receiver: Receiver) -> None:
    """Every try sends the same bytes under the same id."""
    world.endpoint(receiver.url)
    world.tell(7)
    receiver.answer = lambda _: TAKEN if len(receiver.got) == 3 else (500, {}, b"")
    for _ in range(3):
        world.deliver()
        world.now += timedelta(hours=1)

    assert [(got.id, got.body) for got in receiver.got] == [(receiver.got[0].id, receiver.got[0].body)] * 3
    assert json.loads(receiver.got[0].body) == {
        "type": "alert.crossed", "timestamp": "2026-11-23T12:00:00Z", "data": {"n": 7}
    }  # fmt: skip


# --- signatures -------------------------------------------------------------------------------------------------------


def test_a_rotated_secret_and_the_one_before_it_sign_for_a_day(world: World, receiver: Receiver) -> None:
    old = world.endpoint(receiver.url)
    world.tell()
    world.deliver()
    new = rotate_secret(world.database, "erp", now=world.now).secret or ""
    world.now += timedelta(hours=23)
    world.tell()
    world.deliver()
    world.now += timedelta(hours=1)
    world.tell()
    world.deliver()

    def taken_by(secret: str) -> list[bool]:
        found = []
        for got, hours in zip(receiver.got, (0, 23, 24), strict=True):
            try:
                got.verified(secret, NOW + timedelta(hours=hours))
                found.append(True)
            except Exception as error:
                assert "No matching signature" in str(error)
                found.append(False)
        return found

    assert taken_by(old) == [True, True, False]
    assert taken_by(new) == [False, True, True]
    assert [len(got.headers["webhook-signature"].split()) for got in receiver.got] == [1, 2, 1]


def test_no_log_and_no_answer_holds_a_secret(world: World, receiver: Receiver, caplog: Any) -> None:
    """Nor a signature, which is as good as one for that message."""
    caplog.set_level(logging.DEBUG)
    secret = world.endpoint(receiver.url)
    receiver.answer = lambda got: (500, {}, got.headers["webhook-signature"].encode())
    world.tell()
    world.deliver()
    world.poster.post = None  # type: ignore[assignment, method-assign]
    world.now += timedelta(hours=1)
    world.deliver()

    logged = "\n".join(str(vars(record)) for record in caplog.records)
    assert "message not delivered" in logged and "could not be sent" in logged
    for text in (logged, repr(world.shown()), repr(world.take()), repr(put_endpoint), str(world.deliveries())):
        assert secret not in text and secret.removeprefix("whsec_") not in text


# --- what is tried again ----------------------------------------------------------------------------------------------


def test_a_receiver_that_is_down_for_a_day_has_everything_soon_after(world: World, receiver: Receiver) -> None:
    """Twelve messages, two hours apart. It answers 503 for 24 hours: then each comes once, 7.2 hours later at most."""
    world.endpoint(receiver.url)
    receiver.answer = lambda _: TAKEN if world.now >= NOW + timedelta(hours=24) else (503, {}, b"down")
    announced = {NOW + timedelta(hours=2 * n): n for n in range(12)}
    while world.now < NOW + timedelta(hours=32):
        if world.now in announced:
            world.tell(announced[world.now])
        world.deliver()
        due = [item["next_attempt_at"] for item in world.deliveries(status="pending")]
        instants = [datetime.fromisoformat(text) for text in due] + [at for at in announced if at > world.now]
        world.now = min(instants, default=NOW + timedelta(hours=32))

    deliveries = world.deliveries()
    taken = [got.id for got in receiver.got if int(got.headers["webhook-timestamp"]) >= NOW.timestamp() + 86400]
    assert [item["status"] for item in deliveries] == ["delivered"] * 12
    assert Counter(taken) == Counter(item["message"] for item in deliveries)
    assert max(item["ended_at"] for item in deliveries) <= (NOW + timedelta(hours=31.2)).isoformat()
    assert deliveries[0]["attempts"] > 8
    assert [item["status"] for item in deliveries[0]["log"]] == [503] * (deliveries[0]["attempts"] - 1) + [204]
    assert (world.shown().endpoint.enabled, world.shown().standing.failing_since) == (True, None)


def test_gone_disables_the_endpoint_and_says_so(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)
    receiver.answer = refusing(410)
    world.tell(1)
    world.deliver()
    stored = world.shown()
    assert (stored.endpoint.enabled, stored.standing.disabled_reason) == (False, "it answered 410 Gone")
    assert stored.standing.disabled_at == NOW
    assert [(item["status"], item["last_status"]) for item in world.deliveries()] == [("failed", 410)]

    receiver.answer = lambda _: TAKEN
    world.tell(2)
    assert world.deliver() == 0
    with pytest.raises(Conflict):
        send_test(world.database, stored, now=world.now)
    world.endpoint(receiver.url)
    assert world.shown().standing.disabled_reason == ""
    # What it missed while it was disabled can be replayed: it was registered, so it was written.
    assert replay_messages(world.database, world.shown(), ALL, now=world.now) == 2
    world.deliver()
    assert [json.loads(got.body)["data"]["n"] for got in receiver.got] == [1, 1, 2]


def test_an_endpoint_that_takes_nothing_for_five_days_is_disabled(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)
    receiver.answer = refusing(500)
    tries = 0
    while world.shown().endpoint.enabled:
        assert world.now <= NOW + timedelta(days=6)
        world.tell(tries)
        tries += world.deliver()
        world.now += timedelta(hours=6)

    standing = world.shown().standing
    assert standing.failing_since == NOW
    assert standing.disabled_at == NOW + timedelta(days=5)
    assert standing.disabled_reason.startswith("every try since 2026-11-23T12:00:00Z has failed, the last one because")
    assert "delivered" not in {item["status"] for item in world.deliveries()}

    receiver.answer = lambda _: TAKEN
    waiting = len(world.deliveries(status="pending"))
    world.endpoint(receiver.url)
    assert world.deliver() == waiting > 0, "what waited goes on"
    assert world.deliveries(status="pending") == []


def test_one_success_and_an_endpoint_fails_no_longer(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)
    for day in range(12):
        receiver.answer = refusing(500) if day % 3 else lambda _: TAKEN
        world.tell(day)
        world.deliver()
        world.now += timedelta(days=1)

    assert world.shown().endpoint.enabled


@pytest.mark.parametrize(
    ("header", "wait"), [("7200", timedelta(hours=2)), ("Mon, 23 Nov 2026 15:00:00 GMT", timedelta(hours=3))]
)
def test_retry_after_is_kept_to(world: World, receiver: Receiver, header: str, wait: timedelta) -> None:
    world.endpoint(receiver.url)
    receiver.answer = refusing(429, **{"Retry-After": header})
    world.tell()
    world.deliver()
    world.now = NOW + wait - timedelta(seconds=1)
    assert world.deliver() == 0
    world.now = NOW + wait
    assert world.deliver() == 1


def test_whoever_dies_leaves_what_he_took_to_the_next(world: World, receiver: Receiver) -> None:
    """The first worker posts and is killed before it writes that down: the lease ends and the second posts the same.
    When the first lives after all, what it says counts for nothing."""
    world.endpoint(receiver.url)
    world.tell()
    (lost,) = world.take("first")
    world.poster.post(_post(lost), at=world.now)
    assert world.take("second") == []
    world.now += LEASE
    (again,) = world.take("second")
    deliver_outbox(world.database, again, world.poster, clock=lambda: world.now)
    receiver.answer = refusing(500)
    deliver_outbox(world.database, lost, world.poster, clock=lambda: world.now)

    assert len({got.id for got in receiver.got}) == 1
    assert [(item["status"], item["attempts"], len(item["log"])) for item in world.deliveries()] == [
        ("delivered", 2, 1)
    ]


def _post(taken: Taken) -> Post:
    assert taken.endpoint is not None
    return Post(
        taken.endpoint.endpoint.url, message_id(taken.delivery), taken.delivery.message.payload,
        taken.endpoint.secrets.in_force(NOW),
    )  # fmt: skip


def test_of_many_workers_one_takes_each_message(world: World, receiver: Receiver) -> None:
    for name in ("one", "two", "three"):
        world.endpoint(receiver.url, key=name)
    for n in range(20):
        world.tell(n)
    ended = threading.Barrier(4)

    def work(name: str) -> None:
        empty = 0
        while empty < 3:
            taken = world.take(name, free=5)
            empty = 0 if taken else empty + 1
            for item in taken:
                deliver_outbox(world.database, item, world.poster, clock=lambda: world.now)
        ended.wait(30)

    for name in "abc":
        threading.Thread(target=work, args=(name,), daemon=True).start()
    ended.wait(60)

    assert Counter(got.id for got in receiver.got) == {got.id: 3 for got in receiver.got}, "once to each endpoint"
    assert len(receiver.got) == 60
    assert {item["attempts"] for item in world.deliveries()} == {1}


# --- what a receiver may do -------------------------------------------------------------------------------------------


def test_a_redirect_is_not_followed(world: World, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answer = refusing(307, Location=elsewhere.url)
        world.endpoint(receiver.url)
        world.tell()
        world.deliver()

    (delivery,) = world.deliveries()
    assert (elsewhere.got, delivery["status"], delivery["last_status"]) == ([], "pending", 307)
    assert delivery["last_error"] == "answered 307: redirects are not followed"


def test_an_answer_is_read_as_far_as_it_says_something(world: World, receiver: Receiver) -> None:
    """Megabytes of it are not: 200 characters are kept, none of them a control character."""
    receiver.answer = lambda _: (500, {"content-length": str(10**9)}, b"oh\x1b[31m\n" * 1000)
    world.endpoint(receiver.url)
    world.tell()
    world.deliver()

    error = world.deliveries()[0]["last_error"]
    assert error.startswith("answered 500: oh [31m") and len(error) <= 220 and error.isprintable()


def test_a_receiver_that_answers_byte_by_byte_is_cut_off(database: Database) -> None:
    """Each byte comes within any limit for a piece; the whole has half a second."""
    world = World(database)
    world.poster = Poster(HERE, seconds=0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        world.endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/")
        world.tell()
        stop = threading.Event()

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
                while not stop.wait(0.05):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        world.deliver()
        stop.set()

    assert time.monotonic() - began < 5
    assert world.deliveries()[0]["last_error"] == "no answer within 0.5 seconds"


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 2xx OK\r\n\r\n", b"HTTP/1.1 200 OK\r\n" * 200]
)
def test_what_does_not_speak_http_is_a_failure_like_any_other(database: Database, said: bytes) -> None:
    world = World(database)
    with socket.create_server(("127.0.0.1", 0)) as server:
        world.endpoint(f"http://127.0.0.1:{server.getsockname()[1]}/")
        world.tell()

        def say() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        threading.Thread(target=say, daemon=True).start()
        world.deliver()

    assert world.deliveries()[0]["last_error"].startswith("no answer that can be read")
    assert world.deliveries()[0]["status"] == "pending"


def test_a_slow_receiver_holds_up_nobody_else(world: World, receiver: Receiver) -> None:
    """Thirty messages for one that never answers, one for another: that one has it at once."""
    let_go = threading.Event()
    with receiving() as slow:
        slow.answer = lambda _: (200, {}, b"") if let_go.wait(20) else TAKEN
        world.endpoint(slow.url, key="a-slow-one", events=("billing_run.finished",))
        world.endpoint(receiver.url, key="quick", events=("alert.crossed",))
        for n in range(30):
            world.tell(n, "billing_run.finished")
        world.tell()
        deliverer = Deliverer(
            world.database, world.poster, clock=lambda: world.now, threads=8, lease=LEASE, keep=timedelta(days=30)
        )
        deliverer.start()
        try:
            until = time.monotonic() + 15
            while not receiver.got or len(slow.got) < MOST_AT_ONE_RECEIVER:
                assert time.monotonic() < until
                time.sleep(0.01)
            assert len(slow.got) == MOST_AT_ONE_RECEIVER, "no more at a time, however many wait"
        finally:
            let_go.set()
            deliverer.stop()


# --- where it may go --------------------------------------------------------------------------------------------------


def test_a_name_that_leads_inside_is_not_posted_to(world: World, receiver: Receiver, monkeypatch: Any) -> None:
    """Registered as a name like any other; it is at 127.0.0.1 when the message is sent."""
    world.poster = Poster(Destinations(allow_http=True), seconds=5)
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: real("127.0.0.1" if "inside" in host else host, *rest, **more),
    )
    world.endpoint(receiver.url.replace("127.0.0.1", "inside.example"))
    world.tell()
    world.deliver()

    (delivery,) = world.deliveries()
    assert (receiver.got, delivery["status"]) == ([], "pending")
    assert delivery["last_error"] == "not sent: inside.example is at 127.0.0.1, which is not public"


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(
    world: World, receiver: Receiver, monkeypatch: Any
) -> None:
    """A name that is at an allowed address first, and elsewhere when it is asked for again: it is not asked again."""
    real, asked = socket.getaddrinfo, []

    def rebinding(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "rebind.example":
            asked.append(host)
            return real("127.0.0.1" if len(asked) == 1 else "127.0.0.2", *rest, **more)
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    world.endpoint(receiver.url.replace("127.0.0.1", "rebind.example"))
    world.tell()
    world.deliver()

    assert asked == ["rebind.example"]
    assert receiver.got[0].headers["host"].startswith("rebind.example:")


# --- once more, and no more -------------------------------------------------------------------------------------------


def test_what_failed_is_replayed_and_nothing_else(world: World, receiver: Receiver) -> None:
    world.endpoint(receiver.url)
    for n in range(4):
        receiver.answer = refusing(410) if n == 2 else lambda _: TAKEN
        world.endpoint(receiver.url)
        world.tell(n)
        world.deliver()
        world.now += timedelta(hours=1)
    receiver.answer = lambda _: TAKEN
    world.endpoint(receiver.url)
    told = {json.loads(got.body)["data"]["n"]: got.id for got in receiver.got}
    receiver.got.clear()

    def replayed(**wanted: Any) -> list[str]:
        receiver.got.clear()
        replay = replace(Replay(None, None, None, False), **wanted)
        assert replay_messages(world.database, world.shown(), replay, now=world.now) == world.deliver()
        return [got.id for got in receiver.got]

    assert replayed(failed_only=True) == [told[2]]
    assert replayed(failed_only=True) == []
    assert replayed(since=NOW + timedelta(hours=1), until=NOW + timedelta(hours=3)) == [told[1], told[2]]
    key = parse_public_id("msg", told[3])
    assert key is not None
    assert replayed(message_ids=frozenset({key[1], new_id()})) == [told[3]]


def test_a_test_message_goes_to_the_endpoint_that_is_named(world: World, receiver: Receiver) -> None:
    secret = world.endpoint(receiver.url, events=("invoice.issued",))
    world.endpoint(receiver.url + "-other", key="other")
    send_test(world.database, world.shown(), now=world.now)
    world.deliver()

    assert [(got.path, got.verified(secret, NOW)["type"]) for got in receiver.got] == [("/hook", "webhook.test")]


def test_old_messages_are_deleted_and_waiting_ones_are_not(world: World, receiver: Receiver) -> None:
    """Four messages of which one still waits; a month later three are gone. What waits for a disabled endpoint goes
    too."""
    world.endpoint(receiver.url)
    receiver.answer = lambda got: (503, {"retry-after": "86400"}, b"") if b'"n":2' in got.body else TAKEN
    for n in range(4):
        world.tell(n)
    world.deliver()
    before = NOW + timedelta(days=30)

    assert prune_outbox(world.database, before=before, keep_going=lambda: False) == 0
    assert prune_outbox(world.database, before=NOW, keep_going=lambda: True) == 0
    assert prune_outbox(world.database, before=before, keep_going=lambda: True) == 3
    assert [item["status"] for item in world.deliveries()] == ["pending"]
    world.endpoint(receiver.url, enabled=False)
    assert prune_outbox(world.database, before=before, keep_going=lambda: True) == 1
    assert (world.rows(outbox), world.rows(outbox_deliveries)) == (0, 0)
