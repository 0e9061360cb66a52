"""Requests that wait share a transaction: who is in which group, and what becomes of whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest

from app.api import group_commit
from app.api.group_commit import GroupCommit
from app.domain.errors import Malformed, Overloaded
from app.main import create_app
from app.operations.authenticate import create_key, revoke_key
from app.settings import Settings
from app.storage.database import Database
from tests.service import ADMIN_KEY, Clock, event, service, set_up


class Writer:
    """Writes groups down; waits before each while it is held."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun = threading.Semaphore(0)
        self._go = threading.Event()
        self._go.set()

    def hold(self) -> None:
        self._go.clear()

    def release(self) -> None:
        self._go.set()

    def __call__(self, posts: Sequence[str]) -> Sequence[str | Exception]:
        self.begun.release()
        assert self._go.wait(30)
        if "poison" in posts:
            raise RuntimeError("the whole transaction fails")
        self.groups.append(list(posts))
        return [Malformed("unreadable") if post == "unreadable" else f"{post} written" for post in posts]


async def submit_while_held(
    writer: Writer, group: GroupCommit[str, str], posts: Sequence[tuple[str, str, int]]
) -> list[object]:
    """The results of posts (client, post, size) that all wait while another is written; client "bulk" can wait."""
    writer.hold()
    first = asyncio.create_task(group.submit("first", client="z", size=1))
    await asyncio.to_thread(writer.begun.acquire)
    rest = [
        asyncio.create_task(group.submit(post, client=client, size=size, background=client == "bulk"))
        for client, post, size in posts
    ]
    await asyncio.sleep(0)
    writer.release()
    assert await first == "first written"
    return list(await asyncio.gather(*rest, return_exceptions=True))


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def group(writer: Writer) -> GroupCommit[str, str]:
    made = GroupCommit[str, str](writer, writers=1, max_bytes=1000)
    made.start()
    return made


def test_who_waits_shares_the_next_transaction(writer: Writer, group: GroupCommit[str, str]) -> None:
    results = asyncio.run(submit_while_held(writer, group, [("a", str(n), 1) for n in range(20)]))
    group.stop()
    assert results == [f"{n} written" for n in range(20)]
    assert writer.groups == [["first"], [str(n) for n in range(20)]]


def test_one_that_fails_the_transaction_fails_alone(writer: Writer, group: GroupCommit[str, str]) -> None:
    posts = [("a", "1", 1), ("b", "poison", 1), ("c", "unreadable", 1), ("d", "2", 1)]
    one, poison, unreadable, two = asyncio.run(submit_while_held(writer, group, posts))
    group.stop()
    assert (one, two) == ("1 written", "2 written")
    assert isinstance(poison, RuntimeError) and isinstance(unreadable, Malformed)
    assert writer.groups[1:] == [["1"], ["unreadable"], ["2"]]


def test_clients_take_turns_however_much_one_of_them_sends(
    writer: Writer, group: GroupCommit[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 30)
    posts = [("busy", f"busy-{n}", 10) for n in range(6)] + [("quiet", "quiet-0", 10)]
    asyncio.run(submit_while_held(writer, group, posts))
    group.stop()
    assert writer.groups[1] == ["busy-0", "quiet-0", "busy-1"]
    assert [post for written in writer.groups for post in written if post.startswith("busy")] == [
        f"busy-{n}" for n in range(6)
    ]


def test_one_that_is_larger_than_a_group_is_written_alone(
    writer: Writer, group: GroupCommit[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 30)
    asyncio.run(submit_while_held(writer, group, [("a", "small", 10), ("b", "large", 500), ("c", "other", 10)]))
    group.stop()
    assert writer.groups[1:] == [["small"], ["large"], ["other"]]


def test_where_several_write_a_group_takes_less_so_that_all_have_something_to_do(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of a lone writer hold 300 bytes, of several 30: six of 10 bytes go by three."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 300)
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES_OF_MANY", 30)
    monkeypatch.setattr(group_commit, "SMALL_GROUP_BYTES", 0)
    sizes: dict[int, list[int]] = {}
    for writers in (1, 2):
        group = GroupCommit[str, str](writer, writers=writers, max_bytes=1000)
        posts = [("a", str(n), 10) for n in range(6)]

        async def all_at_once(group: GroupCommit[str, str] = group, posts: list[tuple[str, str, int]] = posts) -> None:
            tasks = [asyncio.create_task(group.submit(post, client=client, size=size)) for client, post, size in posts]
            await asyncio.sleep(0)
            group.start()
            await asyncio.gather(*tasks)

        asyncio.run(all_at_once())
        group.stop()
        sizes[writers] = sorted(map(len, writer.groups))
        writer.groups.clear()
    assert sizes == {1: [6], 2: [3, 3]}


def test_what_is_in_the_background_is_written_when_nothing_else_waits(
    writer: Writer, group: GroupCommit[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 30)
    posts = [("bulk", "bulk-0", 1), ("bulk", "bulk-1", 1), *(("busy", f"busy-{n}", 30) for n in range(3))]
    asyncio.run(submit_while_held(writer, group, posts))
    group.stop()
    assert writer.groups[1:] == [["busy-0"], ["busy-1"], ["busy-2"], ["bulk-0"], ["bulk-1"]]


def test_what_is_in_the_background_has_its_turn_where_others_wait_without_end(
    writer: Writer, group: GroupCommit[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One group after every two of the others; "first" was one."""
    monkeypatch.setattr(group_commit, "MAX_GROUP_BYTES", 30)
    monkeypatch.setattr(group_commit, "BACKGROUND_WAITS_GROUPS", 2)
    posts = [("bulk", "bulk-0", 1), ("bulk", "bulk-1", 1), *(("busy", f"busy-{n}", 30) for n in range(4))]
    asyncio.run(submit_while_held(writer, group, posts))
    group.stop()
    assert writer.groups[1:] == [["busy-0"], ["bulk-0"], ["busy-1"], ["busy-2"], ["bulk-1"], ["busy-3"]]


def test_room_is_bounded_and_given_back(group: GroupCommit[str, str]) -> None:
    with group.room() as first:
        first.take(900)
        with group.room() as second, pytest.raises(Overloaded):
            second.take(101)
        with group.room() as third:
            third.take(100)
    with group.room() as again:
        again.take(1000)
    group.stop()


def test_whoever_stops_waiting_leaves_the_others_alone(writer: Writer, group: GroupCommit[str, str]) -> None:
    async def run() -> str:
        writer.hold()
        first = asyncio.create_task(group.submit("first", client="a", size=1))
        await asyncio.to_thread(writer.begun.acquire)
        gone = asyncio.create_task(group.submit("gone", client="b", size=1))
        stays = asyncio.create_task(group.submit("stays", client="c", size=1))
        await asyncio.sleep(0)
        gone.cancel()
        writer.release()
        await first
        return await stays

    assert asyncio.run(run()) == "stays written"
    group.stop()
    assert writer.groups == [["first"], ["gone", "stays"]]


def test_what_waits_is_written_before_it_stops(writer: Writer, group: GroupCommit[str, str]) -> None:
    async def run() -> list[str]:
        writer.hold()
        first = asyncio.create_task(group.submit("first", client="a", size=1))
        await asyncio.to_thread(writer.begun.acquire)
        second = asyncio.create_task(group.submit("second", client="a", size=1))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(asyncio.to_thread(group.stop))
        writer.release()
        await stopping
        return [await first, await second]

    assert asyncio.run(run()) == ["first written", "second written"]


# --- the same through HTTP --------------------------------------------------------------------------------------------


def test_more_than_there_is_room_for_is_told_to_come_again(database_url: str) -> None:
    settings = Settings(database_url=database_url, bootstrap_key=ADMIN_KEY, max_waiting_bytes=2000)
    answers = asyncio.run(post(settings, [b"[" + b" " * 3000 + b"]", b"[]"]))
    assert [answer.status_code for answer in answers] == [429, 200]
    assert answers[0].json()["type"] == "/problems/overloaded"
    assert answers[0].headers["Retry-After"] == "1"


def test_a_body_that_never_ends_is_not_waited_for(database_url: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b"["
        await asyncio.sleep(3600)

    settings = Settings(database_url=database_url, bootstrap_key=ADMIN_KEY, body_seconds=1)
    slow, other = asyncio.run(post(settings, [endless(), b"[]"]))
    assert (slow.status_code, slow.json()["type"]) == (408, "/problems/body-too-slow")
    assert other.status_code == 200


async def post(settings: Settings, bodies: Sequence[bytes | AsyncIterator[bytes]]) -> list[httpx.Response]:
    """The answers to the bodies, posted at once."""
    app = create_app(settings, clock=Clock("2026-11-23T12:00:00+00:00"))
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://own") as client,
    ):
        sending = [client.post("/v1/events", content=body, headers=headers) for body in bodies]
        return list(await asyncio.gather(*sending))


def test_many_at_once_are_each_kept_once_and_answered_for(database_url: str) -> None:
    with service(database_url) as api:
        set_up(api)
    settings = Settings(database_url=database_url, bootstrap_key=ADMIN_KEY)
    one = [httpx.Request("POST", "http://x", json=[event(f"e-{n // 2}")]).content for n in range(60)]
    faulty = [b"{", b"no json", b'[{"id": 1}]']
    answers = asyncio.run(post(settings, [*one, *faulty]))
    counts = [answer.json() for answer in answers[:60]]
    assert sum(count["accepted"] for count in counts) == sum(count["duplicates"] for count in counts) == 30
    assert [answer.status_code for answer in answers[60:]] == [400, 400, 200]
    assert answers[62].json()["rejected"] == 1
    with service(database_url) as api:
        assert api.usage("sessions") == {"": "30"}


def test_a_revoked_key_opens_nothing_from_then_on(database_url: str, database: Database) -> None:
    """Although who sends is remembered, so that the database need not be asked for every request."""
    with service(database_url) as api:
        set_up(api)
        key = create_key(database, scopes=["ingest"], now=api.clock())
        assert api.call("POST", "/v1/events", event("e-1"), key=key).status_code == 200
        assert api.call("POST", "/v1/events", event("e-2"), key=key).status_code == 200
        revoke_key(database, key, now=api.clock())
        assert api.call("POST", "/v1/events", event("e-3"), key=key).status_code == 401
        assert api.call("POST", "/v1/events", [], key=key).status_code == 401
        assert api.usage("sessions") == {"": "2"}


def test_a_second_writer_waits_while_little_is_written_and_takes_what_is_much(writer: Writer) -> None:
    pair = GroupCommit[str, str](writer, writers=2, max_bytes=10**6)
    pair.start()

    async def run() -> None:
        writer.hold()
        posts = [asyncio.create_task(pair.submit("first", client="a", size=1))]
        await asyncio.to_thread(writer.begun.acquire)
        posts += [asyncio.create_task(pair.submit(text, client="b", size=1)) for text in ("second", "third")]
        await asyncio.sleep(0)
        assert not await asyncio.to_thread(writer.begun.acquire, True, 0.05)
        posts.append(asyncio.create_task(pair.submit("large", client="c", size=group_commit.SMALL_GROUP_BYTES)))
        await asyncio.to_thread(writer.begun.acquire)
        writer.release()
        await asyncio.gather(*posts)

    asyncio.run(run())
    pair.stop()
    assert sorted(map(sorted, writer.groups)) == [["first"], ["large", "second", "third"]]
