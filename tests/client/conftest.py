"""The service that a client's test speaks to: a process of its own, on both databases, and a line to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.running import Line, with_catalog
from tests.crash.running import Server


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    with Server(database_url, tmp_path / "service.log") as server:
        yield with_catalog(server)


@pytest.fixture
def line(server: Server) -> Iterator[Line]:
    with Line(server.url) as line:
        yield line


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "usage.spool"
