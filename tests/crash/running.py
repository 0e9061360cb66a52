"""The service and its command as real processes, so that they can be killed in the middle of their work."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.context import ForkServerProcess as Process
from pathlib import Path
from typing import Any, TypeVar

import httpx

from app.cli import main
from app.operations.audit_books import audit_books
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from tests.service import ADMIN_KEY, Api

T = TypeVar("T")

# Every process starts from one that has imported the service and opened nothing: in milliseconds, and as clean as new.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["app.cli", "app.main", "app.commands.serve", "app.commands.close"])

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
# A job whose process was killed is taken over after a second. Nothing is asked to be done within this bound: it only
# keeps a test that hangs from hanging for ever.
LEASE_SECONDS = 1
BOUND_SECONDS = 120


def utc_now() -> datetime:
    return datetime.now(UTC)


def command(database_url: str, arguments: Sequence[str], log: Path, more: Mapping[str, str] | None = None) -> Process:
    """`quotepart` with these arguments and settings, running as a process of its own."""
    settings = dict(more or {}) | {
        "QUOTEPART_DATABASE_URL": database_url,
        "QUOTEPART_BOOTSTRAP_KEY": ADMIN_KEY,
        "QUOTEPART_LEASE_SECONDS": str(LEASE_SECONDS),
    }
    process = _processes.Process(target=_quotepart, args=(settings, list(arguments), str(log)), daemon=True)
    process.start()
    return process


def started(work: Callable[..., None], *arguments: Any) -> Process:
    """A process of its own that does the work."""
    process = _processes.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def _quotepart(settings: dict[str, str], arguments: list[str], log: str) -> None:
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    # Its own group, so that what a terminal or a runner sends to the tests' group does not end it.
    os.setsid()
    os.environ.update(settings)
    sys.argv = ["quotepart", *arguments]
    main()


class Server:
    """`quotepart serve` on a free port of loopback, answering."""

    def __init__(self, database_url: str, log: Path) -> None:
        self._log = log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._process = command(database_url, ["serve", "--port", str(port)], log)
        wait_until(self._answers, "the service to answer")

    def _answers(self) -> bool:
        assert self._process.is_alive(), self._log.read_text()
        try:
            return httpx.get(f"{self.url}/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=HEADERS, timeout=BOUND_SECONDS)

    def kill(self) -> None:
        """As `kill -9` does it: nothing is finished, nothing is told."""
        self._process.kill()
        self._process.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def put(client: httpx.Client, path: str, body: Any) -> None:
    answer = client.put(path, json=body)
    assert answer.status_code in (200, 201), answer.text


def api(client: httpx.Client) -> Api:
    """The test's own words over a real connection."""
    return Api(client, clock=None)  # type: ignore[arg-type]


def wait_until(done: Callable[[], T], what: str) -> T:
    """What `done` answered, once that is true."""
    deadline = time.monotonic() + BOUND_SECONDS
    while True:
        answer = done()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {BOUND_SECONDS} s for {what}"
        time.sleep(0.02)


def settle(database: Database) -> None:
    """Every job that catalog changes left is done, those of killed processes included."""
    cache = CatalogCache()

    def none_left() -> bool:
        return run_catalog_jobs(database, cache, clock=utc_now, future=timedelta(days=1), lease_seconds=LEASE_SECONDS)

    wait_until(none_left, "catalog jobs")


def assert_books_are_clean(database: Database) -> None:
    audit = audit_books(database, now=utc_now())
    assert not audit.differences, [str(item) for item in audit.differences]
    assert audit.building == []
