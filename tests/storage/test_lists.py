"""Lists of events and of quarantined copies: whole, in order, and read from an index whatever they are filtered by."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.acceptance import Judged
from app.domain.events import QUARANTINE_REASONS, UsageEvent, microseconds
from app.domain.ids import NOBODY
from app.storage import event_lists, event_store, quarantine_store
from app.storage.database import Database
from app.storage.event_lists import Place, Wanted
from app.storage.event_store import StoredEvent
from app.storage.tables import meter_revisions, meters, tenants
from app.storage.types import Name16

START = datetime(2026, 10, 1, tzinfo=UTC)
TENANTS = [UUID(int=number << 64) for number in range(1, 13)]
TYPES = ["charging", "parking", "washing"]
RESOURCES = ["", "charger-1", "charger-2"]
FILTERS = [
    Wanted(*values)
    for values in itertools.product(
        (None, TENANTS[0], TENANTS[5]), (None, "parking", "flying"), (None, "charger-2"),
        (None, START + timedelta(hours=5)), (None, START + timedelta(hours=9)),
    )
]  # fmt: skip


def usage_event(number: int, type: str, resource: str, at: datetime) -> UsageEvent:
    return UsageEvent("/c", str(number), type, f"badge-{number % 3}", resource, at, "{}", {})


@pytest.fixture
def kept(database: Database) -> list[StoredEvent]:
    """400 events of 9 of the 12 tenants, many at the same hour."""
    chance = random.Random(7)
    rows = []
    for number in range(400):
        at = START + timedelta(hours=chance.randrange(24))
        event = usage_event(number, chance.choice(TYPES), chance.choice(RESOURCES), at)
        rows.append(Judged(event, chance.choice(TENANTS[:9]), chance.randbytes(16), b"d" * 16, at, microseconds(at)))

    def keep(connection: Connection) -> None:
        no_text = dict.fromkeys(("name", "currency", "time_zone", "language", "legal"), "")
        connection.execute(
            tenants.insert(), [{"tenant_id": key, "key": key.hex, "operator": False} | no_text for key in TENANTS]
        )
        connection.execute(meters.insert(), [{"key": name, "name": "", "unit": "", "unit_code": ""} for name in TYPES])
        revision = {"revision": 1, "definition": "{}", "state": "active", "since_version": 1}
        connection.execute(
            meter_revisions.insert(),
            [
                {"meter_id": UUID(int=number), "key": name, "event_type": name} | revision
                for number, name in enumerate(TYPES)
            ],
        )
        event_store.insert_new(connection, rows, [START] * len(rows), 1)

    database.write(keep)
    return database.read(lambda connection: event_store.after_key(connection, after=None, limit=1000))


def is_wanted(row: StoredEvent, wanted: Wanted) -> bool:
    return (
        wanted.tenant_id in (None, row.tenant_id)
        and wanted.type in (None, row.event.type)
        and wanted.resource in (None, row.event.resource)
        and (wanted.start is None or row.at >= wanted.start)
        and (wanted.end is None or row.at < wanted.end)
    )


def walk(database: Database, wanted: Wanted, *, limit: int) -> Iterator[Sequence[StoredEvent]]:
    """The pages of a list, one after another, to its end."""
    after: Place | None = None
    while True:
        place = after
        listed = database.read(
            lambda connection, place=place: event_lists.page(connection, wanted, after=place, limit=limit)  # type: ignore[misc]
        )
        yield listed.rows
        after = listed.next
        if after is None:
            return


@pytest.mark.parametrize("bounded", [False, True], ids=["", "few at a time"])
def test_a_list_holds_what_is_wanted_once_and_in_order(
    database: Database, kept: list[StoredEvent], monkeypatch: pytest.MonkeyPatch, bounded: bool
) -> None:
    """Also where a page may look at 20 events only, ask for two tenants at once and merge two types at once."""
    if bounded:
        for name, value in {"_MOST_EVENTS": 20, "_TENANT_IN_EVENTS": 5, "_FIRST_TENANTS": 2, "_MOST_TYPES": 2}.items():
            monkeypatch.setattr(event_lists, name, value)
    for wanted in FILTERS:
        expected = sorted(
            (row for row in kept if is_wanted(row, wanted)), key=lambda row: (row.tenant_id, row.at, row.identity)
        )
        pages = list(walk(database, wanted, limit=7))
        assert [row.key for rows in pages for row in rows] == [row.key for row in expected], wanted
        assert all(len(rows) <= 7 for rows in pages)
        if not bounded:
            assert all(len(rows) == 7 for rows in pages[:-1])


@contextmanager
def statements_of(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """What is asked of the database meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            found.append((statement, parameters))

    sa.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sa.event.remove(database.engine, "before_cursor_execute", note)


def plan_of(database: Database, statement: str, parameters: Any) -> str:
    def explain(connection: Connection) -> str:
        if database.is_sqlite:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            return "\n".join(row[3] for row in rows)
        # The tables are small here: of what the planner can do without a walk and a sort, not what is cheapest today.
        for name in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
            connection.exec_driver_sql(f"SET LOCAL {name} = off")
        return "\n".join(row[0] for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters))

    return database.read(explain)


def check_plans(database: Database, table: str, ask: Callable[[], object]) -> None:
    with statements_of(database) as asked:
        ask()
    plans = [plan_of(database, *statement) for statement in asked]
    assert any(table in plan for plan in plans)
    for plan in plans:
        assert not re.search(rf"Seq Scan on {table}|SCAN {table}(?! USING INDEX ix_quarantine_reason_)", plan), plan
        # Of SQLite's parts of a merge each is cut to a page's length before it is looked at as a whole.
        assert not re.search(
            rf" {table} .*\nUSE TEMP B-TREE FOR (.* )?ORDER BY|Sort  \(.*\n(.*\n)*.* on {table} ", plan
        ), plan


@pytest.mark.parametrize("after", [None, (TENANTS[1], START + timedelta(hours=6), b"\x80" * 16)], ids=["first", "deep"])
def test_a_page_of_events_is_read_in_the_order_of_an_index(
    database: Database, kept: list[StoredEvent], after: Place | None
) -> None:
    for wanted in FILTERS:
        check_plans(
            database, "events",
            lambda wanted=wanted: database.read(  # type: ignore[misc]
                lambda connection: event_lists.page(connection, wanted, after=after, limit=7)
            ),
        )  # fmt: skip


# --- quarantine -------------------------------------------------------------------------------------------------------

MATCHING: list[dict[str, str]] = [
    {}, {"reason": "unknown_type"}, {"reason": "unmeasurable"}, {"reason": "unknown_type", "type": "parking"},
    {"reason": "unknown_tenant", "subject": "badge-1"}, {"reason": "unknown_resource", "resource": "charger-1"},
]  # fmt: skip


@pytest.fixture
def set_aside(database: Database) -> list[quarantine_store.Quarantined]:
    """200 copies, each tenth released, in four that came at once; what is left, in order of arrival."""
    chance = random.Random(11)
    rows = []
    for number in range(200):
        event = usage_event(number, chance.choice(TYPES), chance.choice(RESOURCES), START)
        reason = chance.choice(QUARANTINE_REASONS)
        tenant = NOBODY if reason == "unknown_tenant" else chance.choice(TENANTS[:3])
        judged = Judged(event, tenant, chance.randbytes(16), b"d" * 16, START, 0, (), reason)
        rows.append((UUID(bytes=chance.randbytes(16)), judged, START + timedelta(seconds=number // 4)))

    def keep(connection: Connection) -> list[quarantine_store.Quarantined]:
        quarantine_store.keep(connection, rows)
        found = quarantine_store.page(connection, {}, limit=1000)
        for row in found[::10]:
            quarantine_store.close(connection, row, "released")
        return [row for number, row in enumerate(found) if number % 10]

    return database.write(keep)


@pytest.mark.parametrize("tenant_id", [None, TENANTS[1]], ids=["all", "one tenant"])
def test_quarantine_is_listed_once_and_in_order_of_arrival(
    database: Database, set_aside: list[quarantine_store.Quarantined], tenant_id: UUID | None
) -> None:
    assert len(set_aside) == 180
    for matching in MATCHING:
        expected = [
            row.quarantine_id
            for row in set_aside
            if tenant_id in (None, row.tenant_id)
            and matching.get("reason") in (None, row.reason)
            and all(matching.get(name) in (None, getattr(row.event, name)) for name in ("type", "subject", "resource"))
        ]
        found: list[quarantine_store.Quarantined] = []
        while True:
            after = (found[-1].received_at, found[-1].quarantine_id) if found else None
            rows = database.read(
                lambda connection, matching=matching, after=after: quarantine_store.page(  # type: ignore[misc]
                    connection, matching, limit=7, after=after, tenant_id=tenant_id
                )
            )
            found += rows
            if len(rows) < 7:
                break
        assert [row.quarantine_id for row in found] == expected, matching


def test_a_page_of_quarantine_is_read_in_the_order_of_an_index(
    database: Database, set_aside: list[quarantine_store.Quarantined]
) -> None:
    after = (set_aside[90].received_at, set_aside[90].quarantine_id)
    for tenant_id, matching in itertools.product((None, TENANTS[1]), MATCHING):
        check_plans(
            database, "quarantine",
            lambda matching=matching, tenant_id=tenant_id: database.read(  # type: ignore[misc]
                lambda connection: quarantine_store.page(
                    connection, matching, limit=7, after=after, tenant_id=tenant_id
                )
            ),
        )  # fmt: skip


def test_what_is_accepted_is_looked_for_in_quarantine_by_its_key(
    database: Database, set_aside: list[quarantine_store.Quarantined], kept: list[StoredEvent]
) -> None:
    """Of three keys one waits in quarantine: it alone is closed, and nothing is walked through."""
    waiting = next(row for row in set_aside if row.tenant_id == TENANTS[1])
    copy = sa.text("SELECT identity FROM quarantine WHERE id = :id").columns(identity=Name16())
    identity = database.read(lambda connection: connection.execute(copy, {"id": waiting.event.id}).scalar_one())
    keys = [(TENANTS[1], identity), (TENANTS[1], b"\x01" * 16), (TENANTS[2], identity)]
    check_plans(
        database, "quarantine",
        lambda: database.write(lambda connection: quarantine_store.supersede(connection, keys)),
    )  # fmt: skip
    left = database.read(lambda connection: quarantine_store.page(connection, {}, limit=1000))
    still = {row.quarantine_id for row in left}
    assert [row.quarantine_id for row in set_aside if row.quarantine_id not in still] == [waiting.quarantine_id]
