"""What every test may ask for: a freshly migrated database, once on SQLite and once on PostgreSQL.

A test that takes `database_url` or `database` runs on both, each time on a database that nobody else sees. The schema
is migrated once a run, into a template; a test gets a copy of it, which takes milliseconds. One PostgreSQL server is
shared by all workers of a run and starts when the first test needs it. QUOTEPART_TEST_POSTGRES_URL names another; its
user may create databases.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from app.storage import migrate
from app.storage.database import Database
from tests import postgresql

# On a busy machine one example may take long; that says nothing about the rule it tests.
hypothesis.settings.register_profile(
    "quotepart", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("quotepart")

_RUN_DIRECTORY = pytest.StashKey[Path]()
_numbers = itertools.count(1)


def pytest_configure(config: pytest.Config) -> None:
    """One directory for the whole run: made by the first process, told to the workers."""
    told = getattr(config, "workerinput", {}).get("run_directory")
    if told is None:
        # A run that is told to end goes the way of Ctrl-C, so that it leaves no server behind.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    # A short path: a socket's may have about 100 characters.
    config.stash[_RUN_DIRECTORY] = Path(told or tempfile.mkdtemp(prefix="quotepart-"))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run_directory"] = str(node.config.stash[_RUN_DIRECTORY])


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that made the directory stops the server, drops the template and removes the directory."""
    directory = config.stash.get(_RUN_DIRECTORY, None)
    if directory is None or hasattr(config, "workerinput"):
        return
    try:
        if (directory / "cluster").exists():
            postgresql.stop(directory)
        elif (directory / "template.url").exists():
            _drop(_given_server(), _template_name(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="session")
def run_directory(pytestconfig: pytest.Config) -> Path:
    """A directory of this run that all its workers share."""
    return pytestconfig.stash[_RUN_DIRECTORY]


@pytest.fixture(scope="session")
def postgresql_url(run_directory: Path) -> str:
    """The maintenance database of the server that the tests use, as a URL for psycopg and for SQLAlchemy."""
    return _given_server() or _once(run_directory / "server.url", lambda: postgresql.start(run_directory))


@pytest.fixture(scope="session")
def new_postgresql_database(run_directory: Path, postgresql_url: str) -> Callable[[], str]:
    """A function that answers the URL of one more migrated database."""
    template = _template_name(run_directory)

    def migrate_template() -> str:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(template)))
        migrate.upgrade(_database_of(postgresql_url, template))
        return template

    _once(run_directory / "template.url", migrate_template)

    def create() -> str:
        name = f"{template}_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            copied = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            connection.execute(copied.format(sql.Identifier(name), sql.Identifier(template)))
        return _database_of(postgresql_url, name)

    return create


@pytest.fixture(scope="session")
def sqlite_template(run_directory: Path) -> Path:
    """A migrated SQLite file; copy it, do not open it."""
    template = run_directory / "template.db"

    def migrate_template() -> str:
        migrate.upgrade(f"sqlite:///{template}")
        with sqlite3.connect(template) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return str(template)

    _once(run_directory / "template.db.made", migrate_template)
    return template


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite database of the test's own."""
    file = tmp_path / "quotepart.db"
    shutil.copyfile(sqlite_template, file)
    return f"sqlite:///{file}"


@pytest.fixture
def postgresql_database_url(new_postgresql_database: Callable[[], str], postgresql_url: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test's own."""
    url = new_postgresql_database()
    yield url
    _drop(postgresql_url, str(sa.make_url(url).database))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of the test's own, once of each kind."""
    fixture = {"sqlite": "sqlite_url", "postgresql": "postgresql_database_url"}[request.param]
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """The service's own handle on that database."""
    opened = Database.open(database_url)
    yield opened
    opened.close()


def _given_server() -> str:
    """The server that the environment names, or nothing; without SQLAlchemy's name for the driver."""
    return os.environ.get("QUOTEPART_TEST_POSTGRES_URL", "").replace("postgresql+psycopg://", "postgresql://")


def _once(answer: Path, make: Callable[[], str]) -> str:
    """What `make` returned in the first worker that asked; the others wait for it, and none does it again."""
    with _locked(answer.with_name(answer.name + ".lock")):
        if not answer.exists():
            answer.write_text(make())
        return answer.read_text()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _template_name(run_directory: Path) -> str:
    """Named after the run, so that two runs may share a server."""
    return run_directory.name.replace("-", "_").lower()


def _database_of(server_url: str, name: str) -> str:
    return sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _drop(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


# The files that take longest come first, so that no worker is left with one of them when the others are done.
_FIRST = (
    "tests/contract/test_contract", "tests/crash/", "tests/contract/", "tests/monitoring/test_under_load",
    "tests/api/test_authorisation", "tests/agreement/", "tests/scenarios/test_e_invoice", "tests/test_hostile_clients",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(_FIRST) if item.nodeid.startswith(start)), len(_FIRST))

    items.sort(key=place)
