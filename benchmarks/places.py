"""Where the benchmarks run: a fresh database with its catalog for each measurement, and a real server on it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import httpx
import psycopg
import sqlalchemy as sa
from psycopg import sql

from app.operations.publish_plan import publish_plan
from app.operations.put_meter import put_meter
from app.operations.put_plan import put_plan
from app.operations.put_subscription import put_subscription
from app.operations.put_tenant import put_tenant
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.storage import migrate
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.meters import meter_from_wire
from app.wire.plans import plan_from_wire
from app.wire.subscriptions import subscription_from_wire
from app.wire.tenants import tenant_from_wire
from benchmarks.stream import MONTH_START, REQUESTS, TOKENS, tenant_keys
from tests import postgresql

Kind = Literal["sqlite", "postgresql"]

FUTURE = timedelta(days=1)
ADMIN_KEY = "benchmark-admin-key-0123456789"
_ROOT = Path(__file__).resolve().parents[1]
_TENANT = {"name": "Tenant", "currency": "EUR", "time_zone": "UTC", "language": "en"}
_TIERS = [{"up_to": "100000", "unit_price": "0.0004"}, {"up_to": None, "unit_price": "0.0003"}]
_CHARGES = [
    {"key": "tokens", "meter": "tokens", "model": {"type": "graduated", "tiers": _TIERS}},
    {"key": "requests", "meter": "requests", "allowance": "100", "model": {"type": "per_unit", "unit_price": "0.01"}},
    {"key": "base", "model": {"type": "flat", "amount": "9.90"}},
]
_PLAN = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": _CHARGES}


def utc_now() -> datetime:
    return datetime.now(UTC)


class Places:
    """Databases of one kind, each a copy of a template with so many tenants, two meters and a plan."""

    def __init__(self, kind: Kind, directory: Path, *, tenants: int, server_url: str = "") -> None:
        self.kind = kind
        self._directory = directory
        self._server_url = server_url
        self._made = 0
        self._template = self._new("template")
        migrate.upgrade(self._template)
        database = Database.open(self._template)
        fill_catalog(database, tenants)
        database.close()
        if kind == "sqlite":
            connection = sqlite3.connect(directory / "template.db")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """The URL of a copy that nobody has used."""
        self._made += 1
        name = f"copy_{self._made}"
        url = self._copy(name)
        try:
            yield url
        finally:
            self._remove(name)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The URL of a database without a schema."""
        self._made += 1
        name = f"empty_{self._made}"
        url = self._new(name)
        try:
            yield url
        finally:
            self._remove(name)

    def _new(self, name: str) -> str:
        if self.kind == "sqlite":
            return f"sqlite:///{self._directory / name}.db"
        self._run(sql.SQL("DROP DATABASE IF EXISTS {}").format(self._name(name)))
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(self._name(name)))
        return self._url(name)

    def _copy(self, name: str) -> str:
        if self.kind == "sqlite":
            shutil.copyfile(self._directory / "template.db", self._directory / f"{name}.db")
            return f"sqlite:///{self._directory / name}.db"
        copied = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._run(copied.format(self._name(name), self._name("template")))
        return self._url(name)

    def _remove(self, name: str) -> None:
        if self.kind == "sqlite":
            for file in self._directory.glob(f"{name}.db*"):
                file.unlink()
        else:
            self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(self._name(name)))

    def close(self) -> None:
        self._remove("template")

    @staticmethod
    def _name(name: str) -> sql.Identifier:
        return sql.Identifier(f"quotepart_benchmark_{os.getpid()}_{name}")

    def _url(self, name: str) -> str:
        url = sa.make_url(self._server_url).set(database=f"quotepart_benchmark_{os.getpid()}_{name}")
        return url.render_as_string(hide_password=False)

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgresql_server(directory: Path) -> Iterator[str]:
    """The server that QUOTEPART_TEST_POSTGRES_URL names, else one of our own that writes durably."""
    given = os.environ.get("QUOTEPART_TEST_POSTGRES_URL", "").replace("postgresql+psycopg://", "postgresql://")
    if given:
        yield given
        return
    try:
        yield postgresql.start(directory, durable=True)
    finally:
        postgresql.stop(directory)


def fill_catalog(database: Database, tenants: int) -> None:
    """An operator, so many tenants with a subscription from MONTH_START each, and the stream's two meters."""
    now = utc_now()
    put_tenant(database, tenant_from_wire("operator", _TENANT | {"operator": True}), now=now)
    put_meter(database, meter_from_wire("requests", REQUESTS), now=now)
    put_meter(database, meter_from_wire("tokens", TOKENS), now=now)
    run_catalog_jobs(database, CatalogCache(), clock=utc_now, future=FUTURE, lease_seconds=20)
    put_plan(database, plan_from_wire("standard", _PLAN))
    publish_plan(database, "standard", datetime(2020, 1, 1, tzinfo=UTC))
    for key in tenant_keys(tenants):
        put_tenant(database, tenant_from_wire(key, _TENANT), now=now)
        wish = {"tenant": key, "plan": "standard", "start": MONTH_START.date().isoformat()}
        put_subscription(database, subscription_from_wire(f"{key}-1", wish))


class Running(NamedTuple):
    """A service's port and process."""

    port: int
    pid: int


# The same service where no two requests share a transaction: a group holds a second request only within these bytes.
_UNGROUPED = "from app.api import group_commit; group_commit.MAX_GROUP_BYTES = 0; from app.cli import main; main()"


@contextmanager
def service(database_url: str, directory: Path, *, grouped: bool = True) -> Iterator[Running]:
    """`quotepart serve`, answering on a port of loopback; without `grouped` each request is its own commit."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = {"QUOTEPART_DATABASE_URL": database_url, "QUOTEPART_BOOTSTRAP_KEY": ADMIN_KEY}
    command = ["-m", "app"] if grouped else ["-c", _UNGROUPED]
    with (directory / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, *command, "serve", "--port", str(port)],
            cwd=_ROOT, env=os.environ | settings, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait_for(process, port, directory)
        yield Running(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None:
            raise RuntimeError((directory / "serve.log").read_text())
        time.sleep(0.05)
