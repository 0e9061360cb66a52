"""Brings a database to the schema of this version, and says whether it is there."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.domain.errors import NotReady
from app.storage.database import Database
from app.storage.migrations_location import migrations_path

_ADVISORY_LOCK = 7_205_759  # any number that is ours alone; two processes that migrate at once take turns


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    config.attributes["database_url"] = url
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """The database at the newest schema (or the revision named); does nothing where it is there already."""
    with _reaching(), _alone(url):
        _check_own(url)
        found = current_revision(url)
        if found is not None and not _is_known(found):
            check_revision(found)
        if revision != "head" or found != head_revision():
            command.upgrade(_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    with _alone(url):
        command.downgrade(_config(url), revision)


@cache
def head_revision() -> str:
    return str(ScriptDirectory.from_config(_config("")).get_current_head())


def current_revision(url: str) -> str | None:
    """The revision the database is at; None for an empty one. Raises what the driver raises if it cannot be reached."""
    if _is_missing_file(url):
        return None  # to look would be to make the file
    database = Database.open(url)
    try:
        return revision_of(database)
    finally:
        database.close()


def revision_of(database: Database) -> str | None:
    return database.read(lambda connection: MigrationContext.configure(connection).get_current_revision())


def check_schema(url: str) -> None:
    """Raises NotReady with what to do about it, also where there is no database to ask."""
    with _reaching():
        found = current_revision(url)
    if found is None and _is_missing_file(url):
        raise NotReady(
            f"There is no database {place_of(url)} (QUOTEPART_DATABASE_URL says which). Is it in another directory? "
            "Else run `quotepart migrate`."
        )
    check_revision(found)


def check_revision(found: str | None) -> None:
    """Raises NotReady where the revision is not this version's newest."""
    wanted = head_revision()
    if found is not None and not _is_known(found):
        raise NotReady(f"The database is at schema {found}, made by a newer version than this: run that version.")
    if found != wanted:
        state = f"at schema {found}" if found else "empty"
        raise NotReady(f"The database is {state}, this version needs {wanted}: run `quotepart migrate` first.")


def place_of(url: str) -> str:
    """Where the database is, for a person: the file's whole path, or the URL without its password."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        return str(Path(parsed.database).resolve())
    return parsed.render_as_string(hide_password=True)


def _is_missing_file(url: str) -> bool:
    parsed = sa.make_url(url)
    return parsed.get_backend_name() == "sqlite" and bool(parsed.database) and not Path(str(parsed.database)).exists()


def _check_own(url: str) -> None:
    """Raises NotReady where the database holds another program's tables."""
    if current_revision(url) is not None:
        return
    database = Database.open(url)
    try:
        found = database.read(lambda connection: sa.inspect(connection).get_table_names())
    finally:
        database.close()
    if set(found) - {"alembic_version"}:
        raise NotReady(f"{place_of(url)} holds tables of another program: name an empty database.")


def _is_known(revision: str) -> bool:
    return revision in _known_revisions()


@cache
def _known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory.from_config(_config("")).walk_revisions())


@contextmanager
def _reaching() -> Iterator[None]:
    """A database that cannot be reached, or a URL that names none, as one sentence."""
    try:
        yield
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, ModuleNotFoundError, ValueError) as error:
        raise NotReady(
            "QUOTEPART_DATABASE_URL must be sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME."
        ) from error
    except (sa.exc.DBAPIError, OSError) as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())
        raise NotReady(f"The database cannot be used (QUOTEPART_DATABASE_URL names it): {reason}") from error


@contextmanager
def _alone(url: str) -> Iterator[None]:
    """One migration at a time on one database, from any number of processes."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            yield
            return
        with Path(f"{parsed.database}.migrating").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # A new file is its owner's only: it will hold who used what. SQLite's own files beside it are made alike.
            Path(parsed.database).touch(mode=0o600)
            yield
        return
    database = Database.open(url)
    try:
        with database.engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(_ADVISORY_LOCK)))
            yield
    finally:
        database.close()
