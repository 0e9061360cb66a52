"""Credit of one tenant, drawn on by several at the same time, and by work that is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy.engine import Connection

from app.operations.audit_books import audit_books
from app.operations.close_period import close_period
from app.storage import credit_store, subscription_store
from app.storage.database import Database
from tests.service import Api, service, set_up

AT = datetime.fromisoformat("2026-10-31T23:00:00+00:00")
FLAT = {"key": "access", "model": {"type": "flat", "amount": "30.00"}}
SUBSCRIPTIONS = 6


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        set_up(running)
        plan = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": [FLAT]}
        running.put("/v1/plans/standard", plan)
        running.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        for number in range(SUBSCRIPTIONS):
            wanted = {"tenant": "acme", "plan": "standard", "start": "2026-10-01"}
            running.put(f"/v1/subscriptions/acme-{number}", wanted)
        for kind in ("promotional", "prepaid"):
            running.post("/v1/credit-grants", {"tenant": "acme", "kind": kind, "amount": "50"})
        yield running


def opened(api: Api) -> tuple[Database, list[tuple[UUID, UUID]]]:
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    known = database.read(subscription_store.all_subscriptions)
    return database, [(one.tenant_id, one.subscription_id) for one in known]


def close(api: Api, connection: Connection, key: tuple[UUID, UUID]) -> None:
    close_period(connection, *key, AT, issue=True, now=api.clock(), terms_days=30)


def standing(api: Api) -> list[tuple[str, str, str]]:
    rows = api.get("/v1/credit-grants", tenant="acme")["data"]
    return sorted((row["kind"], row["used"], row["left"]) for row in rows)


def test_several_closes_of_one_tenant_at_once_never_overdraw_a_grant(api: Api) -> None:
    """Six invoices of 30.00 are closed at once: 50.00 of credit leave 130.00, of which 50.00 of balance pay a part."""
    database, keys = opened(api)
    with ThreadPoolExecutor(SUBSCRIPTIONS) as pool:
        list(pool.map(lambda key: database.write(lambda connection: close(api, connection, key)), keys))

    invoices = api.invoices()
    assert sum(Decimal(one["net"]) for one in invoices) == Decimal("130.00")
    assert sum(Decimal(one["paid"]) for one in invoices) == Decimal("50.00")
    assert standing(api) == [("prepaid", "50.00", "0.00"), ("promotional", "50.00", "0.00")]
    assert audit_books(database, now=api.clock()).differences == []


def test_work_that_is_broken_off_leaves_no_half_use(api: Api) -> None:
    """An invoice that took 30.00 of credit is never committed: the credit and its ledger are as they were."""
    database, keys = opened(api)

    def broken_off(connection: Connection) -> None:
        close(api, connection, keys[0])
        (account,) = credit_store.all_accounts(connection)
        assert account == (keys[0][0], 1)
        raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError):
        database.write(broken_off)

    assert standing(api) == [("prepaid", "0.00", "50.00"), ("promotional", "0.00", "50.00")]
    assert api.invoices() == []
    database.write(lambda connection: close(api, connection, keys[0]))
    assert standing(api) == [("prepaid", "0.00", "50.00"), ("promotional", "30.00", "20.00")]
    assert audit_books(database, now=api.clock()).differences == []


def test_the_audit_finds_credit_that_no_longer_agrees_with_its_ledger(api: Api) -> None:
    database, keys = opened(api)
    database.write(lambda connection: close(api, connection, keys[0]))
    database.write(lambda connection: connection.exec_driver_sql("UPDATE credit_entries SET amount = '29'"))

    found = {(one.table, one.what) for one in audit_books(database, now=api.clock()).differences}

    assert found == {("credit_grants", "left"), ("credit_entries", "credit used")}
