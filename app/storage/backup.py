"""A whole copy of the database, taken while the service writes.

SQLite: one read transaction sees one state of the database, and in WAL mode it holds no writer up. What is copied in
it, in steps so that somebody can watch, is that state. Without the transaction every commit between two steps would
start the copy from its first page again: under a steady load of writes it never ends. The price of the one state is
that the WAL cannot start anew meanwhile and grows by what is written. A copy of 180 MB took 0.5 s beside 190 requests a
second. PostgreSQL brings tools of its own: the error that is raised for it names the command.

Until the copy is on the disk and was checked it has another name, so a file under the name asked for is always whole.
"""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from app.domain.errors import BillingError
from app.storage.database import normalised_url

Progress = Callable[[int, int], None]
"""Told (bytes copied so far, bytes in all), for each step."""

_PAGES_A_STEP = 256  # 1 MiB
_SQLITE_SIDE_FILES = ("-wal", "-shm", "-journal")
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_SECRETS = ("password", "sslpassword")


class BackupFailed(BillingError):
    """No backup was made, and nothing was left under its name that was not there before."""

    slug = "backup-failed"


class TargetExists(BackupFailed):
    slug = "backup-target-exists"


class TargetUnusable(BackupFailed):
    """The file cannot be written where it was asked for: no such directory, not permitted, or in use as a database."""

    slug = "backup-target-unusable"


class NoRoomForBackup(BackupFailed):
    slug = "no-room-for-backup"


class NothingToBackUp(BackupFailed):
    """There is no file, or it is not a database of Quotepart's."""

    slug = "nothing-to-back-up"


class DatabaseDamaged(BackupFailed):
    """The copy does not pass SQLite's own check, or the database cannot be read: keep the backups made before."""

    slug = "database-damaged"


class UsePgDump(BackupFailed):
    """The database is on PostgreSQL; `command` is what to type."""

    slug = "use-pg-dump"


@dataclass(frozen=True, slots=True)
class Backup:
    """One file that is a whole database at schema `revision`."""

    file: Path
    size_bytes: int
    seconds: float
    revision: str


def back_up(url: str, target: Path, *, replace: bool = False, progress: Progress | None = None) -> Backup:
    """A checked copy of the SQLite database under the name `target`, durable, readable by its owner only.

    It holds everything that was committed before the call. What is there under that name stays, unless `replace` says
    otherwise, and then until the copy takes its place. Raises a BackupFailed.
    """
    began = time.monotonic()
    source = _sqlite_file(url, target)
    with _faults_named(target):
        _check_target(target, source, replace=replace)
        with _unfinished(target) as copy:
            revision = _copy(source, copy, progress)
            _sync(copy)
            _check_copy(copy)
            size_bytes = copy.stat().st_size
            _check_target(target, source, replace=replace)  # the copy may have taken long
            copy.replace(target)
        _sync(target.parent)
    return Backup(target, size_bytes, time.monotonic() - began, revision)


def _sqlite_file(url: str, target: Path) -> Path:
    parsed = sa.make_url(normalised_url(url))
    if parsed.get_backend_name() != "sqlite":
        command = pg_dump_command(url, target)
        raise UsePgDump(
            f"A PostgreSQL database is backed up with its own tools: {command} "
            "(the password is read from PGPASSWORD or ~/.pgpass).",
            command=command,
        )
    file = Path(parsed.database or ":memory:")
    if not file.is_file():
        raise NothingToBackUp(f"There is no database {file}.", file=str(file))
    return file


def pg_dump_command(url: str, target: Path) -> str:
    """What to type in a shell to have the PostgreSQL database at `url` in the file `target`; it holds no password."""
    parsed = sa.make_url(normalised_url(url))
    _, parameters = parsed.get_dialect()().create_connect_args(parsed)
    place = make_conninfo(**{name: value for name, value in parameters.items() if name not in _SECRETS})
    return shlex.join(["pg_dump", "--format=custom", "--no-owner", f"--file={target}", f"--dbname={place}"])


def _check_target(target: Path, source: Path, *, replace: bool) -> None:
    """A file may be made under this name, and no database in use would be harmed."""
    if not target.parent.is_dir():
        raise TargetUnusable(f"There is no directory {target.parent}.", file=str(target))
    own = {source.resolve(), *_beside(source.resolve())}
    # Where a WAL lies beside it, SQLite would apply that WAL of another database to the copy.
    if target.resolve() in own or any(os.path.lexists(path) for path in _beside(target)):
        raise TargetUnusable(f"{target} is in use as a database, or was left by one.", file=str(target))
    if os.path.lexists(target) and not replace:
        raise TargetExists(f"{target} is there already.", file=str(target))
    if target.is_dir():
        raise TargetUnusable(f"{target} is a directory.", file=str(target))


def _beside(database: Path) -> tuple[Path, ...]:
    """The files that SQLite keeps beside a database."""
    return tuple(database.with_name(database.name + ending) for ending in _SQLITE_SIDE_FILES)


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """An empty file in the target's directory, for its owner only; gone at the end unless it was renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".unfinished", dir=target.parent)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _copy(source: Path, copy: Path, progress: Progress | None) -> str:
    """The schema revision of what was copied: the state of the database as the copy began."""
    with closing(_connect(source, "mode=rw")) as live, closing(_connect(copy, "mode=rw")) as made:
        live.execute("BEGIN")
        revision = _revision(live, source)  # from this first read on, the state that is seen is one
        page_bytes = int(live.execute("PRAGMA page_size").fetchone()[0])
        # What is not finished is thrown away, and `_sync` waits for the disk once: no journal, no waits here.
        made.execute("PRAGMA journal_mode = OFF")
        made.execute("PRAGMA synchronous = OFF")

        def tell(_status: int, pages_left: int, pages: int) -> None:
            if progress is not None:
                progress((pages - pages_left) * page_bytes, pages * page_bytes)

        live.backup(made, pages=_PAGES_A_STEP, progress=tell)
    return revision


def _revision(connection: sqlite3.Connection, file: Path) -> str:
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone():
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        if row is not None:
            return str(row[0])
    raise NothingToBackUp(f"{file} is empty, or not a database of Quotepart's.", file=str(file))


def _check_copy(copy: Path) -> None:
    # Immutable: nobody else has it open, and to look at it must not make further files beside it.
    with closing(_connect(copy, "mode=ro&immutable=1")) as made:
        made.execute("PRAGMA cache_size = -131072")
        found = [str(row[0]) for row in made.execute("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        raise DatabaseDamaged(f"The database is damaged: {'; '.join(found)}.", found=found)


def _connect(file: Path, parameters: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?{parameters}", uri=True, timeout=30, isolation_level=None)


def _sync(path: Path) -> None:
    """What was written to a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _faults_named(target: Path) -> Iterator[None]:
    """What the system or SQLite reports, as an error that says what to do about it."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _no_room(target) from error
        raise TargetUnusable(f"{target} cannot be written: {error.strerror}.", file=str(target)) from error
    except sqlite3.Error as error:
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind == sqlite3.SQLITE_FULL:
            raise _no_room(target) from error
        if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DatabaseDamaged(f"The database is damaged: {error}.") from error
        raise BackupFailed(f"The database could not be copied to {target}: {error}.", file=str(target)) from error


def _no_room(target: Path) -> NoRoomForBackup:
    return NoRoomForBackup(f"There is no room for the backup in {target.parent}.", file=str(target))
