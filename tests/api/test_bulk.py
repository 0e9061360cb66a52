"""Events by the million: worked off a chunk at a time, answered once, and never in the way of live requests."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from app.api import backfill
from app.api.compression import zstd
from app.main import create_app
from app.settings import Settings
from app.storage.database import Database
from app.storage.tables import events
from tests.service import ADMIN_KEY, Api, Clock, event, service, set_up

PATH = "/v1/events/bulk"
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/x-ndjson"}


def lines(sent: Sequence[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in sent)


def send(api: Api, body: bytes, **headers: str) -> Any:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return api.call("POST", PATH, content=body, headers=HEADERS | named)


def test_a_body_of_many_chunks_is_answered_as_one(api: Api) -> None:
    """2,300 events and five that are not accepted, among empty lines; sent again, all that was kept is a duplicate."""
    set_up(api)
    faulty = [event("0", subject="nobody"), {"id": 1}, event("1", data={"kwh": "9"}), event("1"), event("z", time="?")]
    body = lines([event(str(n)) for n in range(2300)]) + b"\n  \n" + lines(faulty)
    answer = send(api, body).json()
    assert [answer[name] for name in ("accepted", "duplicates", "conflicts", "quarantined", "rejected")] == [
        2300, 1, 1, 1, 2,
    ]  # fmt: skip
    assert [(item["index"], item["status"]) for item in answer["exceptions"]] == [
        (2300, "quarantined"), (2301, "rejected"), (2302, "conflict"), (2304, "rejected"),
    ]  # fmt: skip
    assert answer["exceptions"][-1]["problem"]["errors"][0]["pointer"] == "#/2304/time"
    assert answer["not_listed"] == 0
    again = send(api, body).json()
    assert (again["accepted"], again["duplicates"], again["exceptions"]) == (0, 2301, answer["exceptions"])
    assert api.usage("sessions", tenant="acme") == {"": "2300"}


def test_exceptions_beyond_a_number_are_counted(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "MOST_LISTED", 3)
    set_up(api)
    answer = send(api, lines([event(str(n), subject="nobody") for n in range(5)])).json()
    assert ([item["index"] for item in answer["exceptions"]], answer["not_listed"]) == ([0, 1, 2], 2)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_body_may_be_several_files_and_may_not_be_cut_off(api: Api, encoding: str) -> None:
    """The second file inflates to more than is held at once. What came before the fault is kept and told."""
    set_up(api)
    compress = gzip.compress if encoding == "gzip" else zstd.compress
    large = lines([event(str(n), data={"kwh": "1", "note": "x" * 1000}) for n in range(1000, 3000)])
    whole = compress(lines([event(str(n)) for n in range(1000)])) + compress(large)
    assert send(api, whole, Content_Encoding=encoding).json()["accepted"] == 3000
    for broken in (whole[:-9], whole + b"more"):
        answer = send(api, broken, Content_Encoding=encoding)
        assert (answer.status_code, answer.json()["type"]) == (400, "/problems/malformed")
        assert answer.json()["events"] >= 1000


def test_what_it_does_not_take_is_refused(api: Api) -> None:
    set_up(api)
    assert send(api, b"{}", Content_Type="application/json").status_code == 415
    assert send(api, b"{}", Content_Encoding="br").status_code == 415
    assert send(api, b'{"id": "' + b"x" * 17 * 1024 * 1024).status_code == 413
    assert send(api, b"").json()["exceptions"] == []


def test_live_requests_are_answered_while_a_backfill_runs(database_url: str) -> None:
    """The body is held back until a live request has its answer, twice: each comes between two chunks. The order in
    which they were kept says the same."""
    with service(database_url) as api:
        set_up(api)
    clock = Clock("2026-11-23T12:00:00+00:00")
    app = create_app(Settings(database_url=database_url, bootstrap_key=ADMIN_KEY), clock=clock)

    async def run() -> tuple[list[int], Any]:
        live: list[int] = []
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)

        async def body() -> AsyncIterator[bytes]:
            for number in range(3):
                clock.set(f"2026-11-23T12:0{2 * number}:00+00:00")
                yield lines([event(f"old-{number}-{n}") for n in range(1000)])
                # Asked for the next part, the service has written the one before.
                clock.set(f"2026-11-23T12:0{2 * number + 1}:00+00:00")
                answer = await client.post("/v1/events", json=[event(f"live-{number}")], headers={
                    "Authorization": HEADERS["Authorization"]})  # fmt: skip
                live.append(answer.json()["accepted"])

        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://own") as client,
        ):
            return live, (await client.post(PATH, content=body(), headers=HEADERS)).json()

    live, answer = asyncio.run(run())
    assert (live, answer["accepted"]) == ([1, 1, 1], 3000)
    database = Database.open(database_url)
    query = sa.select(events.c.id).order_by(events.c.received_at, events.c.id)
    kept = database.read(lambda connection: list(connection.execute(query).scalars()))
    database.close()
    assert [kept.index(f"live-{number}") for number in range(3)] == [1000, 2001, 3002]
