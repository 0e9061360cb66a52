"""Clients that stall, never end, or send what costs most: others are served meanwhile, and the memory stays bounded."""

from __future__ import annotations

import gzip
import json
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from app.api.compression import zstd
from app.commands import bounded_http
from app.main import create_app
from app.settings import Settings
from tests.crash.running import api
from tests.service import ADMIN_KEY, event, set_up
from tests.test_security import MEBIBYTE, Process, serving

MOST_MEMORY = 300 * MEBIBYTE
"""What all clients of a test together may add to the service's memory at its highest."""

BEARER = f"Authorization: Bearer {ADMIN_KEY}\r\n"
POST = f"POST /v1/events HTTP/1.1\r\nHost: x\r\n{BEARER}Content-Type: application/json\r\n"
LONGEST = 16 * MEBIBYTE


@pytest.fixture
def running(database_url: str, tmp_path: Path) -> Iterator[Process]:
    with serving(tmp_path, database_url, QUOTEPART_BOOTSTRAP_KEY=ADMIN_KEY) as process:
        process.client.headers["Authorization"] = f"Bearer {ADMIN_KEY}"
        process.client.timeout = httpx.Timeout(120)
        set_up(api(process.client))
        yield process


def memory(process: Process, name: str) -> int:
    """In bytes: `VmRSS` as it is, `VmHWM` at its highest."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def bounded(process: Process) -> Iterator[None]:
    """What happens inside adds at most MOST_MEMORY; other producers are answered all the while."""
    before, done, served = memory(process, "VmRSS"), threading.Event(), 0

    def serve_others() -> None:
        nonlocal served
        with httpx.Client(base_url=process.client.base_url, headers=process.client.headers, timeout=120) as client:
            while served == 0 or not done.wait(0.02):
                answer = client.post("/v1/events", json=event(f"other-{served}", source="/others"))
                if answer.status_code == 429:  # there is no room for anybody right now
                    continue
                assert (answer.status_code, answer.json().get("accepted")) == (200, 1), answer.text
                served += 1

    with ThreadPoolExecutor(1) as pool:
        others = pool.submit(serve_others)
        try:
            yield
        finally:
            done.set()
        others.result()
    assert memory(process, "VmHWM") - before < MOST_MEMORY


def connect(process: Process, text: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", process.port), timeout=120)
    connection.sendall(text.encode())
    return connection


def send_for_ever(process: Process) -> bytes:
    """The first line of what is answered to a body that goes on and on."""
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(process, f"{POST}Transfer-Encoding: chunked\r\n\r\n") as connection:
        while not select.select([connection], [], [], 0)[0]:
            connection.sendall(piece)
        return connection.recv(65536).partition(b"\r\n")[0]


def test_many_that_stall_and_some_that_never_end_keep_nobody_from_posting(running: Process) -> None:
    """300 connections that say nothing, 50 that stall in their headers, 50 in their body, and four without end."""
    texts = [""] * 300 + ["GET /healthz HTTP/1.1\r\nX-A: "] * 50 + [f"{POST}Content-Length: 1000\r\n\r\n["] * 50
    with ExitStack() as stack, bounded(running):
        for text in texts:
            stack.enter_context(connect(running, text))
        with ThreadPoolExecutor(4) as pool:
            endless = [pool.submit(send_for_ever, running) for _ in range(4)]
            assert {done.result() for done in endless} == {b"HTTP/1.1 413 Request Entity Too Large"}


BOMBS: dict[str, Callable[[], bytes]] = {
    "gzip": lambda: gzip.compress(b" " * (256 * MEBIBYTE), compresslevel=9),
    "zstd": lambda: zstd.compress(b" " * (1024 * MEBIBYTE)),
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_are_refused_and_never_held(running: Process, encoding: str) -> None:
    """Forty at once, each of 256 MiB and more."""
    statuses = post_at_once(running, [BOMBS[encoding]()] * 40, encoding)
    assert set(statuses) == {413}


def test_large_compressed_bodies_wait_for_room(running: Process) -> None:
    """Forty of 16 MiB at once are 640 MiB: there is room for eight."""
    whole = gzip.compress(b"[" + b" " * (LONGEST - 2) + b"]")
    statuses = post_at_once(running, [whole] * 40, "gzip")
    assert set(statuses) <= {200, 429} and 200 in statuses


def post_at_once(process: Process, bodies: list[bytes], encoding: str) -> list[int]:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    with bounded(process), ThreadPoolExecutor(len(bodies)) as pool:
        sending = [pool.submit(process.client.post, "/v1/events", content=body, headers=headers) for body in bodies]
        return [done.result().status_code for done in sending]


LONG = event("@", source="/" + "s" * 700, data={"kwh": "1", "station": "1", "text": "t" * 500})
COSTLY: dict[str, tuple[Any, str]] = {
    "rejected": (lambda n: {"id": f"{n}", "Bad-Name": 1}, "rejected"),
    "rejected for a long name": (lambda n: {"x" * 1500: n}, "rejected"),
    "quarantined": (lambda n: LONG | {"id": f"q-{n}", "subject": "nobody" + "n" * 200}, "quarantined"),
    "accepted": (lambda n: LONG | {"id": f"{n}-" + "i" * 100}, "accepted"),
}  # fmt: skip


@pytest.mark.parametrize("name", COSTLY)
def test_ten_thousand_events_that_cost_most_are_each_answered_for(running: Process, name: str) -> None:
    make, outcome = COSTLY[name]
    body = json.dumps([make(n) for n in range(10_000)]).encode()
    assert len(body) < LONGEST
    with bounded(running):
        answer = running.client.post("/v1/events", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()[outcome]) == (200, 10_000)


# --- who is not waited for --------------------------------------------------------------------------------------------


@contextmanager
def impatient(url: str) -> Iterator[int]:
    """The port of a service in this process."""
    application = create_app(Settings(database_url=url, bootstrap_key=ADMIN_KEY))
    config = uvicorn.Config(application, port=0, http=bounded_http.BoundedHttp, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def received(connection: socket.socket) -> bytes:
    """Everything that comes before the service closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_a_head_that_does_not_come_is_not_waited_for(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is the rest of a request that was answered early; a body that is being read has a time of its own."""
    monkeypatch.setattr(bounded_http, "HEAD_SECONDS", 0.5)
    with impatient(sqlite_url) as port, ExitStack() as stack:

        def connect(text: str) -> socket.socket:
            made = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
            made.sendall(text.encode())
            return made

        slow = connect(f"{POST}Content-Length: 2\r\nConnection: close\r\n\r\n[")
        for text in ("", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A"):
            assert received(connect(text)) == b""
        answered = received(connect("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /healthz HTTP/1.1\r\nHost:"))
        assert answered.startswith(b"HTTP/1.1 200 ") and answered.count(b"HTTP/1.1") == 1

        refused = connect("POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert refused.recv(65536).startswith(b"HTTP/1.1 401 ")
        with pytest.raises(OSError):  # the service has closed the connection
            while True:
                refused.sendall(b"1\r\n \r\n")
                time.sleep(0.01)

        slow.sendall(b"]")
        assert received(slow).startswith(b"HTTP/1.1 200 ")
