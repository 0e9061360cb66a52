"""Whatever bytes are posted as events: each is answered for or all are refused, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.api import group_commit
from app.main import create_app
from app.operations.audit_books import audit_books
from app.settings import Settings
from app.storage.database import Database
from tests.api.bodies import Sent, bodies
from tests.service import ADMIN_KEY, Api, Clock, event, service, set_up

NOW = "2026-11-23T12:00:00+00:00"
COUNTS = ("accepted", "duplicates", "conflicts", "quarantined", "rejected")
PLURALS = {"duplicate": "duplicates", "conflict": "conflicts", "quarantined": "quarantined", "rejected": "rejected"}
EMPTY = Sent(b"[]", {"Content-Type": "application/json"})
examples = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def header_bytes(sent: Sent) -> dict[bytes, bytes]:
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"} | sent.headers
    return {name.encode(): value.encode("latin-1") for name, value in headers.items()}


def check(sent: Sent, answer: httpx.Response) -> None:
    """A 2xx that answers for each event, or a 4xx that is a problem."""
    assert answer.status_code < 500, answer.text
    body = answer.json()
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "instance"} <= body.keys()
        assert body["status"] == answer.status_code
        return
    exceptions = body["exceptions"]
    number = sum(body[name] for name in COUNTS)
    assert number == len(sent.texts or ()) or sent.texts is None
    positions = [item["index"] for item in exceptions]
    assert positions == sorted(set(positions)) and all(0 <= position < number for position in positions)
    told = [PLURALS[item["status"]] for item in exceptions]
    assert {name: told.count(name) for name in COUNTS[1:]} == {name: body[name] for name in COUNTS[1:]}


def test_every_body_is_answered_for_event_by_event_or_refused_whole(api: Api, database: Database) -> None:
    """What was kept of all of them can be read back, and the books are clean."""
    set_up(api)

    @settings(examples, max_examples=200)
    @given(sent=bodies())
    def post(sent: Sent) -> None:
        check(sent, api.client.post("/v1/events", content=sent.body, headers=header_bytes(sent)))

    post()
    for path in ("/v1/events", "/v1/quarantine"):
        cursor: dict[str, Any] = {}
        while cursor is not None:
            # A number of 5,000 digits is kept as it was sent; Python reads none that long as an int.
            page = json.loads(api.call("GET", path, params={"limit": 1000, **cursor}).text, parse_int=Decimal)
            cursor = page["next_cursor"] and {"cursor": page["next_cursor"]}
    audit = audit_books(database, now=api.clock())
    assert (audit.events > 0, audit.differences) == (True, [])


# --- decimals ---------------------------------------------------------------------------------------------------------


@st.composite
def decimals(draw: st.DrawFn) -> str:
    """A decimal as JSON writes it: at most 20 digits before the point and 18 behind, zeros at the end kept."""
    whole = draw(st.integers(0, 10 ** draw(st.sampled_from([1, 3, 20])) - 1))
    places = draw(st.integers(0, 18))
    fraction = f".{draw(st.integers(0, 10**places - 1)):0{places}}" if places else ""
    return draw(st.sampled_from(["", "-"])) + str(whole) + fraction


def test_decimals_come_back_as_they_were_sent(api: Api) -> None:
    """38 digits and 18 decimals: the sum is exact, and the listed event holds the very text."""
    set_up(api)
    turn = 0

    @settings(examples, max_examples=40)
    @given(sent=st.lists(st.tuples(decimals(), st.booleans()), min_size=1, max_size=5))
    def send(sent: list[tuple[str, bool]]) -> None:
        nonlocal turn
        turn += 1
        time = f"2026-0{turn // 24 % 9 + 1}-{turn // 216 + 1:02}T{turn % 24:02}:00:00Z"
        numbers = [f'"{number}"' if quoted else number for number, quoted in sent]
        data = [f'{{"kwh": {number},  "station":"s-{turn}"}}' for number in numbers]
        whole = [event(f"d-{turn}-{n}", time=time, data="@") for n in range(len(data))]
        body = api.client.build_request("POST", "http://x", json=whole).content
        for text in data:
            body = body.replace(b'"@"', text.encode(), 1)
        answer = api.call("POST", "/v1/events", content=body, headers={"Content-Type": "application/json"})
        assert answer.json()["accepted"] == len(sent), answer.text

        rows = api.get("/v1/usage", meter="energy", group_by="station", start=time, end=time[:14] + "59:00Z")["data"]
        assert [Decimal(row["quantity"]) for row in rows] == [sum(Decimal(number) for number, _ in sent)]
        listed = api.call("GET", "/v1/events", params={"start": time, "end": time[:14] + "59:00Z"}).text
        assert all(text in listed for text in data)

    send()


# --- neighbours -------------------------------------------------------------------------------------------------------


@pytest.fixture
def one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """While something is held, a second transaction begins only for what is larger than all that is sent here."""
    monkeypatch.setattr(group_commit, "SMALL_GROUP_BYTES", 2**40)
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES_OF_MANY", group_commit.MAX_GROUP_BYTES)


@dataclass
class Intake:
    """The service's intake, whose transactions wait to begin while they are held; it knows the size of each."""

    app: FastAPI
    client: httpx.AsyncClient
    groups: list[int] = field(default_factory=list)
    _go: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._intake = self.app.state.intake
        self._write, self._intake._write = self._intake._write, self._held

    def _held(self, posts: Sequence[Any]) -> Any:
        self.groups.append(len(posts))
        assert self._go.wait(60)
        return self._write(posts)

    async def post(self, sent: Sent) -> httpx.Response:
        return await self.client.post("/v1/events", content=sent.body, headers=header_bytes(sent))

    async def in_one_group(self, sent: Sequence[Sent]) -> list[httpx.Response]:
        """The answers to requests that all waited for one transaction, but for those that were refused before."""
        self.groups.clear()
        self._go.clear()
        first = [asyncio.create_task(self.post(EMPTY))]
        while not self.groups:
            await asyncio.sleep(0.001)
        tasks = [asyncio.create_task(self.post(item)) for item in sent]
        while sum(task.done() for task in tasks) + (waiting := self._waiting()) < len(tasks):
            await asyncio.sleep(0.001)
        self._go.set()
        answers = list(await asyncio.gather(*tasks))
        await asyncio.gather(*first)
        assert self.groups[: len(first) + 1] == [1] * len(first) + [waiting]
        return answers

    def _waiting(self) -> int:
        return sum(map(len, self._intake._clients.values()))


@asynccontextmanager
async def intake(database_url: str) -> AsyncIterator[Intake]:
    app = create_app(Settings(database_url=database_url, bootstrap_key=ADMIN_KEY), clock=Clock(NOW))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://own") as client,
    ):
        yield Intake(app, client)


@pytest.mark.usefixtures("one_group")
def test_whoever_shares_a_transaction_with_any_body_is_kept(database_url: str) -> None:
    """Two bodies of any kind and three good events wait together."""
    with service(database_url) as api:
        set_up(api)
    turn = 0
    with asyncio.Runner() as runner:
        running = intake(database_url)
        held = runner.run(running.__aenter__())

        @settings(examples, max_examples=40)
        @given(odd=st.lists(bodies(), min_size=1, max_size=3))
        def post(odd: list[Sent]) -> None:
            nonlocal turn
            turn += 1
            good = [one_event(f"good-{turn}-{n}") for n in range(3)]
            answers = runner.run(held.in_one_group([good[0], *odd, *good[1:]]))
            for item, answer in zip(odd, answers[1:-2], strict=True):
                check(item, answer)
            assert [answers[n].json()["accepted"] for n in (0, -2, -1)] == [1, 1, 1]

        try:
            post()
        finally:
            runner.run(running.__aexit__(None, None, None))


def one_event(id: str) -> Sent:
    return Sent(json.dumps(event(id, source="/good")).encode(), {"Content-Type": "application/json"})
