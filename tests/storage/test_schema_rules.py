"""The rules that let one schema run on a file, on a server and distributed over many machines."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

from app.domain.events import EARLIEST
from app.storage import migrate
from app.storage.database import Database
from app.storage.migrations_location import migrations_path
from app.storage.tables import metadata
from app.storage.types import ExactDecimal, Id, Instant
from tests.service import PER_UNIT, event, service, set_up

TABLES = [pytest.param(table, id=table.name) for table in metadata.sorted_tables]
DISTRIBUTED = [
    pytest.param(table, id=table.name) for table in metadata.sorted_tables if table.info["kind"] == "distributed"
]


# --- the metadata -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_a_table_says_of_what_kind_it_is(table: Table) -> None:
    assert table.info["kind"] in ("distributed", "reference", "local")


@pytest.mark.parametrize("table", DISTRIBUTED)
def test_a_distributed_table_is_split_by_its_tenant(table: Table) -> None:
    """`tenant_id` is never absent, is an Id everywhere, and leads the primary key and whatever else is unique."""
    tenant = table.columns["tenant_id"]
    assert isinstance(tenant.type, Id) and not tenant.nullable
    assert next(iter(table.primary_key.columns)) is tenant
    unique: list[Any] = [item for item in table.constraints if isinstance(item, UniqueConstraint)]
    unique += [index for index in table.indexes if index.unique]
    assert all(next(iter(item.columns)) is tenant for item in unique)


@pytest.mark.parametrize("table", TABLES)
def test_a_tenant_is_named_by_one_type_everywhere(table: Table) -> None:
    named = [column for column in table.columns if column.name == "tenant_id" or column.name.endswith("_id")]
    assert [column.name for column in named if not isinstance(column.type, Id)] == [
        name for name in ("key_id", "last_id") if name in table.columns
    ]


@pytest.mark.parametrize("table", TABLES)
def test_no_part_of_a_key_may_be_absent(table: Table) -> None:
    keys = [item for item in table.constraints if isinstance(item, PrimaryKeyConstraint | UniqueConstraint)]
    keys_of_table = [list(key.columns) for key in keys]
    assert keys_of_table and all(keys_of_table)
    assert [column.name for columns in keys_of_table for column in columns if column.nullable] == []


@pytest.mark.parametrize("table", TABLES)
def test_the_application_makes_every_id_and_every_time(table: Table) -> None:
    """No serial column, no sequence, no computed column, and no default but a plain text: no clock of the database."""
    for column in table.columns:
        counts_up = column.autoincrement is True or column is table.autoincrement_column
        assert not counts_up, f"{column} counts up by itself; say autoincrement=False"
        assert column.default is None and column.onupdate is None and column.server_onupdate is None
        assert column.identity is None and column.computed is None
        default = column.server_default
        assert default is None or isinstance(default.arg, str), f"{column} has a default that the database computes"  # type: ignore[attr-defined]


@pytest.mark.parametrize("table", TABLES)
def test_a_foreign_key_stays_with_its_tenant_or_points_to_a_reference_table(table: Table) -> None:
    keys = [item for item in table.constraints if isinstance(item, ForeignKeyConstraint)]
    for key in keys:
        target = key.referred_table
        if table.info["kind"] in ("reference", "local"):
            assert target.info["kind"] == table.info["kind"], f"{key.name} points to a {target.info['kind']} table"
        elif target.info["kind"] == "distributed":
            pairs = [(element.parent.name, element.column.name) for element in key.elements]
            assert ("tenant_id", "tenant_id") in pairs, f"{key.name} does not carry the tenant"
        else:
            assert target.info["kind"] == "reference"
        for action in (key.ondelete, key.onupdate):
            assert action in (None, "RESTRICT", "CASCADE"), f"{key.name} would change a key part: {action}"


@pytest.mark.parametrize("table", TABLES)
def test_numbers_are_whole_or_exact(table: Table) -> None:
    """A number is an integer or an ExactDecimal, a time is an Instant or a local date: nothing else may round."""
    kinds = {column.name: type(column.type) for column in table.columns}
    inexact = (sa.Float, sa.Double, sa.Numeric, sa.REAL, sa.DateTime, sa.TIMESTAMP)
    assert [name for name, kind in kinds.items() if kind in inexact] == []


def test_events_are_found_by_tenant_type_and_time() -> None:
    """And by nothing else: each further index would be paid for with every event."""
    indexes = [[column.name for column in index.columns] for index in metadata.tables["events"].indexes]
    assert indexes == [["tenant_id", "type", "time", "identity"]]


def test_the_time_of_an_event_is_no_part_of_its_identity() -> None:
    assert [column.name for column in metadata.tables["events"].primary_key] == ["tenant_id", "identity"]


def test_foreign_keys_come_in_migrations_of_their_own() -> None:
    """Between the tables and their foreign keys a cluster distributes the tables: no file makes both."""
    texts = {file.name: file.read_text() for file in sorted((migrations_path() / "versions").glob("*.py"))}
    both = [
        name
        for name, text in texts.items()
        if "create_table(" in text and ("ForeignKey" in text or "create_foreign_key(" in text)
    ]
    assert both == []


def test_migrations_make_no_triggers_and_no_sequences() -> None:
    texts = "\n".join(file.read_text().lower() for file in (migrations_path() / "versions").glob("*.py"))
    assert [
        word for word in ("trigger", "sequence(", "serial", "set null", "now()", "current_timestamp") if word in texts
    ] == []


# --- the migrations ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database at the newest schema whose migrations this test may take back: both kinds."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    url: str = request.getfixturevalue("postgresql_database_url")
    migrate.downgrade(url, "base")
    return url


@contextmanager
def opened(url: str) -> Iterator[Database]:
    database = Database.open(url)
    try:
        yield database
    finally:
        database.close()


def schema(url: str) -> Any:
    """Every table of the database with its columns, keys and indexes."""

    def describe(connection: sa.Connection) -> dict[str, Any]:
        inspector = sa.inspect(connection)
        found: dict[str, Any] = {}
        for name in inspector.get_table_names():
            columns = [
                (item["name"], str(item["type"]), item["nullable"], item["default"])
                for item in inspector.get_columns(name)
            ]
            keys = sorted(
                (item["name"], item["constrained_columns"], item["referred_table"])
                for item in inspector.get_foreign_keys(name)
            )
            unique = sorted((item["name"], item["column_names"]) for item in inspector.get_unique_constraints(name))
            indexes = sorted((item["name"], item["column_names"]) for item in inspector.get_indexes(name))
            primary = inspector.get_pk_constraint(name)["constrained_columns"]
            found[name] = (columns, primary, keys, unique, indexes)
        return found

    with opened(url) as database:
        return database.read(describe)


def test_migrations_go_up_down_and_up_again_to_the_same_schema(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    first = schema(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    assert set(schema(empty_database_url)) <= {"alembic_version"}
    assert migrate.current_revision(empty_database_url) is None

    migrate.upgrade(empty_database_url)

    assert schema(empty_database_url) == first
    assert set(first) == {*metadata.tables, "alembic_version"}


def test_lines_that_were_issued_before_there_were_marks_get_theirs(empty_database_url: str) -> None:
    """Each that was rated has the mark that its trace gives."""
    migrate.upgrade(empty_database_url)
    with service(empty_database_url) as api:
        set_up(api, [PER_UNIT], start="2026-09-01")
        api.post("/v1/events", [event("1", time="2026-09-10T10:00:00Z")])
        api.bill("2026-10-01T00:00:00Z")

    def marks(connection: sa.Connection) -> list[str]:
        return list(connection.execute(sa.select(metadata.tables["invoice_lines"].c.mark)).scalars())

    with opened(empty_database_url) as database:
        before = database.read(marks)
    migrate.downgrade(empty_database_url, "0018")
    migrate.upgrade(empty_database_url)

    with opened(empty_database_url) as database:
        assert database.read(marks) == before
    assert len(before) == 1
    assert '"energy"' in before[0]


def test_the_migrated_schema_is_the_one_on_the_page(database: Database) -> None:
    # Of SQLite Alembic cannot tell an empty default from none, so defaults are compared by themselves below.
    options = {"compare_type": True, "compare_server_default": not database.is_sqlite}
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_the_defaults_of_the_migrated_schema_are_those_on_the_page(database: Database) -> None:
    with database.engine.connect() as connection:
        inspector = sa.inspect(connection)
        found = {
            (table.name, column["name"])
            for table in metadata.sorted_tables
            for column in inspector.get_columns(table.name)
            if column["default"] is not None
        }
    wanted = {
        (table.name, column.name)
        for table in metadata.sorted_tables
        for column in table.columns
        if column.server_default is not None
    }
    assert found == wanted


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    before, revision = schema(database_url), migrate.current_revision(database_url)
    migrate.upgrade(database_url)
    assert (schema(database_url), migrate.current_revision(database_url)) == (before, revision)
    assert migrate.current_revision(database_url) == revision == migrate.head_revision()


# --- exact values -----------------------------------------------------------------------------------------------------

# 38 significant digits of which 18 are decimals: the widest value that an event may carry.
WIDEST = 10**38 - 1
decimals = st.builds(
    lambda digits, places: Decimal(f"{digits}E-{places}"),
    st.one_of(st.integers(-WIDEST, WIDEST), st.sampled_from([0, 1, -1, WIDEST, -WIDEST, 10**37])),
    st.integers(0, 18),
)
instants = st.integers(0, 253_402_300_799_999_999).map(lambda number: EARLIEST + timedelta(microseconds=number))


@pytest.fixture
def round_trip(database: Database) -> Iterator[Callable[[list[Any], sa.types.TypeEngine[Any]], list[Any]]]:
    """Writes values into a column of the type and reads them back, in a transaction that is rolled back."""
    scratch = sa.MetaData()
    exact = Table("scratch_decimal", scratch, sa.Column("n", sa.Integer), sa.Column("value", ExactDecimal))
    moments = Table("scratch_instant", scratch, sa.Column("n", sa.Integer), sa.Column("value", Instant))
    with database.engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        scratch.create_all(connection)

        def write_and_read(values: list[Any], kind: sa.types.TypeEngine[Any]) -> list[Any]:
            table = exact if isinstance(kind, ExactDecimal) else moments
            connection.execute(table.delete())
            connection.execute(table.insert(), [{"n": n, "value": value} for n, value in enumerate(values)])
            return list(connection.execute(sa.select(table.c.value).order_by(table.c.n)).scalars())

        yield write_and_read
        transaction.rollback()


def test_decimals_keep_every_digit(round_trip: Any) -> None:
    """38 digits with 18 decimals, from 10^-18 to just under 10^38, trailing zeros included."""

    @given(st.lists(decimals, min_size=1, max_size=20))
    @settings(max_examples=60)
    def keeps(values: list[Decimal]) -> None:
        read = round_trip(values, ExactDecimal())
        assert read == values
        # A positive exponent cannot come back; the number of decimals does.
        assert [value.as_tuple().exponent for value in read] == [value.as_tuple().exponent for value in values]

    keeps()


def test_instants_keep_their_microseconds(round_trip: Any) -> None:
    """Every microsecond from 1970 to the end of 9999, always in UTC."""

    @given(st.lists(instants, min_size=1, max_size=20))
    @settings(max_examples=60)
    def keeps(values: list[datetime]) -> None:
        read = round_trip(values, Instant())
        assert read == values
        assert all(value.tzinfo is UTC or value.utcoffset() == timedelta(0) for value in read)

    keeps()


def test_sqlite_adds_and_compares_decimals_as_exactly_as_python(sqlite_url: str) -> None:
    """0.1 + 0.2 is 0.3, 9 is less than 10, and the 38th digit counts."""

    @given(decimals, decimals)
    @settings(max_examples=100)
    def agrees(first: Decimal, second: Decimal) -> None:
        texts = (format(first, "f"), format(second, "f"))
        row = connection.exec_driver_sql("SELECT exact_add(?1, ?2), exact_min(?1, ?2), exact_max(?1, ?2)", texts).one()
        assert [Decimal(item) for item in row] == [first + second, min(first, second), max(first, second)]
        total = Decimal(connection.exec_driver_sql("SELECT exact_add(?, ?)", (row[0], "0.1")).scalar_one())
        assert total == first + second + Decimal("0.1")

    with opened(sqlite_url) as database, database.engine.connect() as connection:
        agrees()


def test_sqlite_waits_for_the_disk_before_it_says_done(sqlite_url: str) -> None:
    """An acknowledged event survives loss of power: WAL with synchronous = FULL (2), and foreign keys are held."""
    with opened(sqlite_url) as database, database.engine.connect() as connection:
        settings_now = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert settings_now == ["wal", 2, 1]
    assert sqlite3.sqlite_version_info >= (3, 35)
