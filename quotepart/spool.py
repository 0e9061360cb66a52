"""Where do events wait until the service has answered for them? In a SQLite file, a row each, in the order of sending.

A row is there as soon as `add` returns, and goes when the service has answered for it. A process that is killed in the
middle of a write leaves a file that opens as it was before that write. Several processes may share one file: each adds,
and one at a time has the turn to send.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PATIENCE_SECONDS = 5
"""How long a write waits for another process's write to the same file."""

# Numbers are never given twice, so that "everything up to 17" stays the same set of events.
_TABLE = "CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL)"
# Rows go from the front only: what lies between the ends is what waits, and no count has to walk through it.
_WAITING = "SELECT coalesce((SELECT max(number) FROM waiting) - (SELECT min(number) FROM waiting) + 1, 0)"


class SpoolUnusable(Exception):
    """The file can not be opened, read or written; the event that was sent is not kept."""


class SpoolFull(Exception):
    """As many events wait as may; the event that was sent is not kept."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event's JSON text, and its place in the order of sending."""

    number: int
    text: str


class Spool:
    """One process's hand on a spool. Safe to share between threads; after a fork both processes go on with it."""

    def __init__(self, path: Path, *, fsync: bool, max_waiting: int) -> None:
        self.path = path
        self.rejected_path = path.with_name(f"{path.name}.rejected")
        self._turn_path = path.with_name(f"{path.name}.turn")
        self._synchronous = "FULL" if fsync else "NORMAL"
        self._max_waiting = max_waiting
        self._lock = threading.Lock()
        self._file: sqlite3.Connection | None = None
        self._turn: sqlite3.Connection | None = None
        self._is_closed = False
        with self._lock:
            self._opened()

    def add(self, text: str) -> None:
        """The event waits. Raises SpoolFull, or SpoolUnusable where it can not be written down."""
        insert = f"INSERT INTO waiting (event) SELECT ? WHERE ({_WAITING}) < ?"
        with self._run(insert, text, self._max_waiting) as cursor:
            is_kept = cursor.rowcount == 1
        if not is_kept:
            raise SpoolFull(f"{self._max_waiting} events wait in {self.path}; the log says why none is taken")

    def waiting(self) -> int:
        """How many events wait, those of other processes included."""
        return int(self._one(_WAITING))

    def last(self) -> int:
        """The number of the youngest event that waits; 0 where none does."""
        return int(self._one("SELECT coalesce(max(number), 0) FROM waiting"))

    def is_settled(self, through: int) -> bool:
        """True when no event up to this number waits."""
        first = self._one("SELECT min(number) FROM waiting")
        return first is None or first > through

    def oldest(self, *, through: int, max_events: int, max_bytes: int) -> list[Waiting]:
        """The events that have waited longest, none younger than `through`; one at least, however large it is."""
        query = "SELECT number, event FROM waiting WHERE number <= ? ORDER BY number LIMIT ?"
        found: list[Waiting] = []
        size = 0
        with self._run(query, through, max_events) as cursor:
            for number, text in cursor:
                size += len(text) + 1
                if found and size > max_bytes:
                    break
                found.append(Waiting(number, text))
        return found

    def settle(self, through: int) -> None:
        """The service has answered for every event up to this number: they wait no more."""
        with self._run("DELETE FROM waiting WHERE number <= ?", through):
            pass

    def keep_rejected(self, lines: Iterable[str]) -> None:
        """The lines stand at the end of the `.rejected` file, on disk, also after one that was cut off."""
        descriptor = os.open(self.rejected_path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a+b") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read() == b"\n" else b"\n")
            file.write("".join(f"{line}\n" for line in lines).encode())
            file.flush()
            os.fsync(descriptor)

    # --- the turn to send --------------------------------------------------------------------------------------------

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This process has the turn to send, where no other has it: see `has_turn`. It ends with the block, with a
        fork, and with the process."""
        with self._lock:
            self._turn = self._taken_turn()
        try:
            yield
        finally:
            with self._lock:
                self._end_turn()

    def has_turn(self) -> bool:
        return self._turn is not None

    def _taken_turn(self) -> sqlite3.Connection | None:
        # A lock on a file of its own, taken by SQLite: the one way that is there on every system and goes with the
        # process that holds it.
        connection = sqlite3.connect(_made(self._turn_path), timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return None
            raise
        return connection

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._turn.close()
            self._turn = None

    # --- the file ----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """What waits stays in the file; every later call raises SpoolUnusable."""
        with self._lock:
            self._is_closed = True
            self._shut()

    def before_fork(self) -> None:
        """Nothing is open, and no other thread can open it: SQLite's files must not go through a fork."""
        self._lock.acquire()
        self._shut()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = threading.Lock()

    def _shut(self) -> None:
        self._end_turn()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _one(self, query: str) -> Any:
        with self._run(query) as cursor:
            return cursor.fetchone()[0]

    @contextmanager
    def _run(self, statement: str, *values: Any) -> Iterator[sqlite3.Cursor]:
        """The statement, carried out as a transaction of its own that ends with the block."""
        with self._lock:
            connection = self._opened()
            try:
                with closing(connection.execute(statement, values)) as cursor:
                    yield cursor
            except sqlite3.Error as error:
                raise SpoolUnusable(f"{self.path}: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._is_closed:
            raise SpoolUnusable(f"{self.path} was closed")
        if self._file is None:
            try:
                self._file = self._open()
            except (sqlite3.Error, OSError) as error:
                raise SpoolUnusable(f"{self.path} can not be used as a spool: {error}") from error
        return self._file

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            _made(self.path), timeout=_PATIENCE_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {self._synchronous}")
            connection.execute(_TABLE)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _made(path: Path) -> Path:
    """The path of a file that is there; one that was not can be read by its owner only.

    A file that is there is not opened: closing it would take SQLite's locks on it from this process.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    return path
