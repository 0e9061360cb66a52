"""Processes that close the same tenants at once, one of them killed: what the subscriptions of a tenant owe at one
instant comes onto one document, once, however many close it."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.commands.close import close_all
from app.domain.ids import SEVERAL
from app.domain.invoices import Invoice
from app.operations import make_drafts
from app.operations.issue_invoice import issue_draft
from app.operations.publish_plan import publish_plan
from app.operations.put_plan import put_plan
from app.operations.put_subscription import put_subscription
from app.operations.put_tenant import put_tenant
from app.settings import Settings
from app.storage import invoice_store, tenant_store
from app.storage.database import Database
from app.storage.tables import billing_instants, invoice_lines, invoices
from app.wire.plans import plan_from_wire
from app.wire.subscriptions import subscription_from_wire
from app.wire.tenants import tenant_from_wire
from tests.crash.running import BOUND_SECONDS, LEASE_SECONDS, assert_books_are_clean, command, utc_now, wait_until
from tests.service import ACME, OPERATOR

TENANTS, SUBSCRIPTIONS, MONTHS = 4, 5, 5


@pytest.fixture
def rooms(database: Database) -> Database:
    """Four tenants that rent five rooms each, at 1.11 in arrears, from January 2026, on one document a month."""
    now = utc_now()
    put_tenant(database, tenant_from_wire("garage", OPERATOR), now=now)
    charges = [{"key": "rent", "model": {"type": "flat", "amount": "1.11"}}]
    put_plan(
        database, plan_from_wire("room", {"name": "Room", "currency": "EUR", "interval": "month", "charges": charges})
    )
    publish_plan(database, "room", datetime(2020, 1, 1, tzinfo=UTC))
    for tenant in range(TENANTS):
        wish = ACME | {"name": f"t{tenant}", "subjects": [], "invoice_collection": "tenant"}
        put_tenant(database, tenant_from_wire(f"t{tenant}", wish), now=now)
        for number in range(SUBSCRIPTIONS):
            body = {"tenant": f"t{tenant}", "plan": "room", "start": "2026-01-01"}
            put_subscription(database, subscription_from_wire(f"t{tenant}-{number}", body))
    return database


def documents(database: Database) -> list[Invoice]:
    def read(connection: sa.Connection) -> list[Invoice]:
        seller = tenant_store.operator(connection)
        assert seller is not None
        return [one.invoice for one in invoice_store.in_series(connection, seller.tenant_id, after=0, limit=10_000)]

    return database.read(read)


def close(database: Database) -> tuple[int, int]:
    run = close_all(database, Settings(lease_seconds=LEASE_SECONDS), through=datetime(2026, 1 + MONTHS, 1, tzinfo=UTC))
    return run.closed, run.failed


def assert_nothing_is_half_done(database: Database) -> None:
    """A document is issued with the lines of all five rooms, and then all five instants are settled; or none is."""

    def read(connection: sa.Connection) -> tuple[Counter[datetime], Counter[datetime], int]:
        settled = sa.select(billing_instants.c.at).where(billing_instants.c.status == "billed")
        lines = sa.select(invoices.c.billing_at).join(
            invoice_lines, sa.and_(invoice_lines.c.tenant_id == invoices.c.tenant_id,
                                   invoice_lines.c.invoice_id == invoices.c.invoice_id))  # fmt: skip
        drafts = sa.select(sa.func.count()).select_from(invoices)
        drafts = drafts.where(sa.or_(invoices.c.status == "draft", invoices.c.subscription_id != SEVERAL))
        return (
            Counter(connection.execute(settled).scalars()), Counter(connection.execute(lines).scalars()),
            connection.execute(drafts).scalar_one(),
        )  # fmt: skip

    settled, lines, others = database.read(read)
    assert settled == lines
    assert all(count % SUBSCRIPTIONS == 0 for count in lines.values())
    assert others == 0


def test_processes_that_close_one_tenant_at_once_issue_one_document_an_instant(
    rooms: Database, database_url: str, tmp_path: Path
) -> None:
    """Three processes at once, of which one is killed after some documents; then a last run."""
    arguments = ["close", "--through", f"2026-{1 + MONTHS:02}-01"]
    running = [command(database_url, arguments, tmp_path / f"close-{n}.log") for n in range(3)]
    wanted = random.Random(4).randrange(1, 8)
    wait_until(lambda: len(documents(rooms)) >= wanted, "documents to be issued")
    running[0].kill()
    for process in running:
        process.join(BOUND_SECONDS)
    assert [process.exitcode for process in running[1:]] == [0, 0]
    assert_nothing_is_half_done(rooms)
    close(rooms)

    made = documents(rooms)
    assert len(made) == TENANTS * MONTHS
    assert {(len(one.lines), one.net) for one in made} == {(SUBSCRIPTIONS, SUBSCRIPTIONS * Decimal("1.11"))}
    assert len({(one.buyer.key, one.period) for one in made}) == len(made)
    assert [one.number for one in made] == [f"2026-{n:06}" for n in range(1, len(made) + 1)]
    assert_nothing_is_half_done(rooms)
    assert_books_are_clean(rooms)


def test_what_breaks_between_draft_and_issue_leaves_nothing_of_either(
    rooms: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third document breaks once its draft is saved: its tenant has no document of the month and no later one."""
    count = 0

    def broken(connection: sa.Connection, *args: object, **options: object) -> object:
        nonlocal count
        count += 1
        if count % 3 == 0:
            raise RuntimeError("killed")
        return issue_draft(connection, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(make_drafts, "issue_draft", broken)
    closed, failed = close(rooms)
    assert failed > 0
    assert closed % SUBSCRIPTIONS == 0
    assert_nothing_is_half_done(rooms)
    monkeypatch.undo()
    assert close(rooms)[1] == 0
    assert len(documents(rooms)) == TENANTS * MONTHS
    assert_nothing_is_half_done(rooms)
    assert_books_are_clean(rooms)
