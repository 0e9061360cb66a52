"""Producers that post to a service which is killed, and what must be kept afterwards: everything acknowledged, once.

A `Ledger` knows what producers were told of every event, and which requests nobody was told of: those are sent again.
Whoever was told `accepted` or `duplicate` must find the event kept with the very content that was sent; whoever was
told `conflict`, with another; whoever was told `quarantined`, aside.
"""

from __future__ import annotations

import gzip
import json
import random
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa

from app.storage.database import Database
from app.storage.tables import events, quarantine
from tests.crash.running import Server, assert_books_are_clean, put, settle, wait_until
from tests.service import ENERGY, SESSIONS, event

PRODUCERS = 4
Content = tuple[str, str]
"""The id of an event, and its data as sent."""


@dataclass(frozen=True)
class Request:
    """Events that go out together; of any company and hour, and of no other round's type."""

    events: list[Any]
    zipped: bool

    def send(self, client: httpx.Client) -> httpx.Response:
        body = json.dumps(self.events[0] if len(self.events) == 1 else self.events).encode()
        headers = {"Content-Type": "application/json"}
        if self.zipped:
            body, headers = gzip.compress(body, compresslevel=1), headers | {"Content-Encoding": "gzip"}
        return client.post("/v1/events", content=body, headers=headers)


@dataclass
class Ledger:
    """What was answered for every event, by all producers, and the requests that have no answer."""

    sent: list[Any] = field(default_factory=list)
    unanswered: deque[Request] = field(default_factory=deque)
    accepted: Counter[str] = field(default_factory=Counter)
    kept: dict[str, str] = field(default_factory=dict)
    conflicting: set[Content] = field(default_factory=set)
    aside: set[Content] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, request: Request, answer: Any) -> None:
        """Writes down what every event of the request was answered; its counts must sum to what was sent."""
        told = {name: answer[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")}
        assert sum(told.values()) == len(request.events) and told["rejected"] == 0, told
        statuses = {item["index"]: item["status"] for item in answer["exceptions"]}
        with self._lock:
            for index, item in enumerate(request.events):
                self._note_one(item["id"], json.dumps(item["data"]), statuses.get(index, "accepted"))

    def _note_one(self, id: str, data: str, status: str) -> None:
        if status == "conflict":
            self.conflicting.add((id, data))
        elif status == "quarantined":
            self.aside.add((id, data))
        else:
            self.accepted[id] += status == "accepted"
            assert self.kept.setdefault(id, data) == data, f"two contents of {id} were acknowledged"

    def acknowledged(self) -> Ledger:
        """A copy of what has been answered by now."""
        with self._lock:
            return Ledger(
                accepted=self.accepted.copy(), kept=dict(self.kept), conflicting=set(self.conflicting),
                aside=set(self.aside),
            )  # fmt: skip


class Load:
    """Producers on one service, each with a connection of its own, from entering to `stop` or until it is killed."""

    def __init__(self, server: Server, ledger: Ledger, rng: random.Random, *, round: int) -> None:
        self._server, self._ledger, self._round = server, ledger, round
        self._stopping = threading.Event()
        self._pool = ThreadPoolExecutor(PRODUCERS + 1)
        seeds = [rng.random() for _ in range(PRODUCERS)]
        with server.client() as client:
            put(client, f"/v1/meters/sessions-{round}", SESSIONS | {"event_type": _type(round)})
        self._work = [self._pool.submit(self._produce, n, random.Random(seed)) for n, seed in enumerate(seeds)]
        self._work.append(self._pool.submit(self._change_meters))

    def wait_for(self, answered: int) -> None:
        """Until so many more events are acknowledged."""
        enough = len(self._ledger.kept) + answered
        wait_until(lambda: len(self._ledger.kept) >= enough or self._failed(), "events to be acknowledged")

    def stop(self) -> None:
        """Every producer has ended; what one of them found wrong is raised."""
        self._stopping.set()
        with self._pool:
            for done in self._work:
                done.result()

    def _failed(self) -> bool:
        return any(done.done() and done.exception() for done in self._work)

    def _produce(self, number: int, rng: random.Random) -> None:
        with self._server.client() as client:
            for request in self._requests(number, rng):
                try:
                    answer = request.send(client)
                except httpx.TransportError:
                    self._ledger.unanswered.append(request)
                    if self._stopping.wait(0.02):
                        return
                    continue
                if _is_to_be_sent_again(answer):
                    self._ledger.unanswered.append(request)
                    continue
                assert answer.status_code == 200, answer.text
                self._ledger.note(request, answer.json())

    def _requests(self, number: int, rng: random.Random) -> Iterator[Request]:
        """First of all what was never answered, then new events, now and then some that were sent before."""
        made = 0
        while not self._stopping.is_set():
            try:
                yield self._ledger.unanswered.popleft()
            except IndexError:
                size = rng.choice((1, 1, 1, 1, 100, rng.randrange(100, 1001)))
                new = [_new_event(f"{self._round}-{number}-{made + n}", self._round, rng) for n in range(size)]
                made += size
                self._ledger.sent += rng.sample(new, max(1, size // 20))
                mixed = new + [_again(item, rng) for item in rng.choices(self._ledger.sent, k=size // 20)]
                rng.shuffle(mixed)
                yield Request(mixed, zipped=rng.random() < 0.5)

    def _change_meters(self) -> None:
        """Meters of this round's type are made and rebuilt meanwhile, as long as somebody answers."""
        own = ENERGY | {"event_type": _type(self._round)}
        wishes = {"energy": own, "peak": own | {"aggregation": "max"}, "latest": own | {"aggregation": "last"}}
        with self._server.client() as client:
            for key, wish in [*wishes.items(), ("energy", own | {"dimensions": {}})]:
                try:
                    answer = client.put(f"/v1/meters/{key}-{self._round}", json=wish)
                except httpx.TransportError:
                    return
                assert _is_to_be_sent_again(answer) or answer.status_code in (200, 201), answer.text


def _is_to_be_sent_again(answer: httpx.Response) -> bool:
    return answer.status_code in (429, 503)


def _type(round: int) -> str:
    """Events of a round have a type of its own, so that a changed meter is soon caught up, however many there are."""
    return f"charging.session.{round}"


def _new_event(id: str, round: int, rng: random.Random) -> Any:
    """Of one of three hours; one in fifty is nobody's."""
    return event(
        id, type=_type(round), subject="nobody" if rng.random() < 0.02 else "acme",
        time=f"2026-10-05T1{rng.randrange(3)}:{rng.randrange(60):02}:00Z",
        data={"kwh": f"{rng.randrange(10_000)}.{rng.randrange(8) * 125:03}", "station": str(rng.randrange(3))},
    )  # fmt: skip


def _again(item: Any, rng: random.Random) -> Any:
    """The same event, or with one chance in four another under its name."""
    return item if rng.random() < 0.75 else item | {"data": {"kwh": "1.5", "station": "other"}}


def resend(server: Server, ledger: Ledger) -> None:
    """Everything that was never answered is sent until it is."""
    with server.client() as client:
        while ledger.unanswered:
            request = ledger.unanswered[0]
            answer = request.send(client)
            assert answer.status_code == 200, answer.text
            ledger.note(request, answer.json())
            ledger.unanswered.popleft()


@contextmanager
def load(server: Server, ledger: Ledger, rng: random.Random, *, round: int) -> Iterator[Load]:
    """Ends its producers, whatever happens inside."""
    running = Load(server, ledger, rng, round=round)
    try:
        yield running
    finally:
        running.stop()


def assert_nothing_lost_or_doubled(database: Database, ledger: Ledger) -> None:
    """Every acknowledged event is there exactly once with its content, and the buckets are the fold of the events."""
    told = ledger.acknowledged()
    rows, aside = database.read(
        lambda connection: (
            connection.execute(sa.select(events.c.id, events.c.data)).all(),
            connection.execute(sa.select(quarantine.c.id, quarantine.c.data)).all(),
        )
    )
    there = {row.id: row.data for row in rows}
    assert len(there) == len(rows), "an event is there twice"
    assert {id: there.get(id) for id in told.kept} == told.kept
    assert all(there[id] != data for id, data in told.conflicting)
    contents = Counter((row.id, row.data) for row in aside)
    assert {content: contents[content] for content in told.aside} == dict.fromkeys(told.aside, 1)
    assert max(told.accepted.values()) == 1, "accepted was answered twice"
    settle(database)
    assert_books_are_clean(database)
