"""The one place that opens connections and commits, and all that differs between SQLite and PostgreSQL.

`Database.write(work)` runs `work(connection)` in one transaction and commits it; a deadlock, a serialisation failure, a
locked file or a lost connection runs it again from the start, so `work` must leave nothing behind but rows.
`Database.read(work)` runs it on one unchanging snapshot.
"""

from __future__ import annotations

import operator
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from app.domain.errors import DatabaseBusy
from app.observability import metrics
from app.storage import packed_arrays

T = TypeVar("T")
Parameter = packed_arrays.Packed | int

_ATTEMPTS = 12
_PATIENCE_SECONDS = 45
_RETRY_STATES = {"40001", "40P01", "55P03", "57P01", "57P02", "57P03", "08000", "08003", "08006"}
_SQLITE_SETTINGS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged event survives loss of power
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 30000",
    "PRAGMA wal_autocheckpoint = 20000",  # the default of 1,000 pages halves the rate of random inserts
    "PRAGMA cache_size = -131072",
)


class Database:
    """An engine with its rules. Safe to share between threads; one per process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        # SQLite has one writer: waiting here in turn beats polling the file's lock.
        self._writer = threading.Lock() if self.is_sqlite else None

    @classmethod
    def open(cls, url: str) -> Database:
        return cls(_sqlite_engine(url) if url.startswith("sqlite") else _postgresql_engine(url))

    def close(self) -> None:
        self.engine.dispose()

    def write(self, work: Callable[[Connection], T]) -> T:
        """What `work` returned, once its transaction is durable. Raises DatabaseBusy."""
        return self._retried(lambda: self._write_once(work))

    def _retried(self, attempt: Callable[[], T]) -> T:
        """What the attempt returned; tried again after what may pass, for a minute at most."""
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        for number in count(1):
            try:
                return attempt()
            except sa.exc.TimeoutError as error:  # every connection is in use
                raise DatabaseBusy("The database is busy; try again in a moment.") from error
            except (DBAPIError, psycopg.Error) as error:
                if not _worth_retrying(error):
                    raise
                if number >= _ATTEMPTS or time.monotonic() >= give_up_at:
                    raise DatabaseBusy("The database does not take it right now; try again in a moment.") from error
            metrics.RETRIES.inc()
            time.sleep(random.uniform(0, min(0.02 * 2**number, 2)))  # noqa: S311 - spreads retries, no secret
        raise AssertionError("an attempt returns or raises")

    def _write_once(self, work: Callable[[Connection], T]) -> T:
        if self._writer is None:
            with self.engine.begin() as connection:
                return work(connection)
        with self._writer, self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                return work(connection)

    def ask(self, statement: str, parameters: Sequence[Parameter]) -> list[tuple[Any, ...]]:
        """The rows that one statement of PostgreSQL answers, a transaction of its own; its parameters are $1, $2, ...

        All of it is one call of the client library, for which the interpreter is free: of ten thousand rows sent, no
        piece waits until another thread's turn has ended. Raises DatabaseBusy, or psycopg's IntegrityError.
        """
        return self._retried(lambda: self._ask_once(statement, parameters))

    def _ask_once(self, statement: str, parameters: Sequence[Parameter]) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            pooled = connection.connection
            raw: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
            try:
                return _asked(raw, pooled.info, statement, parameters)
            except psycopg.Error as error:
                if error.sqlstate and raw.pgconn.status == psycopg.pq.ConnStatus.OK:
                    raise
                # Not the server says so, but the client library: nobody is there.
                connection.invalidate()
                raise psycopg.OperationalError("the connection to the server was lost") from error

    def read(self, work: Callable[[Connection], T]) -> T:
        """What `work` returned; all its statements saw the same snapshot. Raises DatabaseBusy."""
        return self._retried(lambda: self._read_once(work))

    def _read_once(self, work: Callable[[Connection], T]) -> T:
        with self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                return work(connection)


def _worth_retrying(error: DBAPIError | psycopg.Error) -> bool:
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlstate", None) in _RETRY_STATES:
        return True
    if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:
        return True  # the server is away
    return isinstance(cause, sqlite3.OperationalError) and "locked" in str(cause)


_NOT_PREPARED = b"26000"
_names = count()


def _asked(
    raw: psycopg.Connection[Any], prepared: dict[Any, Any], statement: str,
    parameters: Sequence[Parameter],
) -> list[tuple[Any, ...]]:  # fmt: skip
    """The answer to the statement, which the connection prepares the first time. Raises what the server says."""
    values = [item.content if isinstance(item, packed_arrays.Packed) else b"%d" % item for item in parameters]
    formats = [isinstance(item, packed_arrays.Packed) for item in parameters]
    if statement in prepared:
        answer = raw.pgconn.exec_prepared(prepared[statement], values, formats, psycopg.pq.Format.BINARY)
    if statement not in prepared or answer.error_field(psycopg.pq.DiagnosticField.SQLSTATE) == _NOT_PREPARED:
        # The driver forgets all prepared statements of a connection after a rollback.
        name = prepared[statement] = f"quotepart_{next(_names)}".encode()
        _checked(raw, raw.pgconn.prepare(name, statement.encode()))
        answer = raw.pgconn.exec_prepared(name, values, formats, psycopg.pq.Format.BINARY)
    _checked(raw, answer)
    reader = psycopg.adapt.Transformer(raw)
    reader.set_pgresult(answer)
    reader.set_loader_types([answer.ftype(n) for n in range(answer.nfields)], psycopg.pq.Format.BINARY)
    return reader.load_rows(0, answer.ntuples, tuple)


def _checked(raw: psycopg.Connection[Any], answer: psycopg.pq.abc.PGresult) -> psycopg.pq.abc.PGresult:
    if answer.status in (psycopg.pq.ExecStatus.COMMAND_OK, psycopg.pq.ExecStatus.TUPLES_OK):
        return answer
    raise psycopg.errors.error_from_result(answer, encoding=raw.info.encoding)


def normalised_url(url: str) -> str:
    """The URL with the driver that the service brings: psycopg 3 for any spelling of PostgreSQL."""
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


# What is bound to a statement (an event, a digest of a key) stays out of errors, and so out of logs.


def secrets_in(url: str) -> tuple[str, ...]:
    """The passwords that the URL holds, as they are and as they are written in it."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        return ()
    found = [str(parsed.password or ""), *(str(parsed.query.get(name, "")) for name in ("password", "sslpassword"))]
    return tuple(dict.fromkeys(text for secret in found if secret for text in (secret, quote(secret, safe=""))))


def _postgresql_engine(url: str) -> Engine:
    patience = {} if "connect_timeout" in sa.make_url(normalised_url(url)).query else {"connect_timeout": 5}
    engine = sa.create_engine(
        normalised_url(url), pool_size=8, max_overflow=24, hide_parameters=True,
        connect_args={"application_name": "quotepart", "prepare_threshold": 3} | patience,
    )  # fmt: skip

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: psycopg.Connection[Any], _record: Any) -> None:
        packed_arrays.register(connection)

    return engine


def _sqlite_engine(url: str) -> Engine:
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": 30, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not guessed by the driver
        for statement in _SQLITE_SETTINGS:
            connection.execute(statement)
        for name, function in (("exact_add", _add), ("exact_min", _smaller), ("exact_max", _larger)):
            connection.create_function(name, 2, function, deterministic=True)
        for name, joined in (("sum", operator.add), ("min", min), ("max", max)):
            connection.create_aggregate(f"exact_all_{name}", 1, partial(_All, joined))  # type: ignore[arg-type]

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


# SQLite's own SUM, MIN and MAX would turn decimals into floats, or compare them as text.


class _All:
    """What a function of two makes of all values of a column, NULLs left out; NULL where there are none."""

    def __init__(self, function: Callable[[Decimal, Decimal], Decimal]) -> None:
        self._function = function
        self._found: Decimal | None = None

    def step(self, value: str | None) -> None:
        if value is not None:
            found, number = self._found, Decimal(value)
            self._found = number if found is None else self._function(found, number)

    def finalize(self) -> str | None:
        return None if self._found is None else format(self._found, "f")


def _add(first: str | None, second: str | None) -> str | None:
    if first is None or second is None:
        return None
    return format(Decimal(first) + Decimal(second), "f")


def _smaller(first: str | None, second: str | None) -> str | None:
    return None if first is None or second is None else min(first, second, key=Decimal)


def _larger(first: str | None, second: str | None) -> str | None:
    return None if first is None or second is None else max(first, second, key=Decimal)
