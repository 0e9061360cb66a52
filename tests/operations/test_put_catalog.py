"""Several at once: an object is made once, rules hold, and the catalog version rises with what can be counted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from app.domain.errors import Conflict, SubscriptionsOverlap
from app.operations.apply_catalog import apply_catalog
from app.operations.catalog_change import Saved
from app.operations.put_meter import put_meter
from app.operations.put_plan import put_plan
from app.operations.put_resource import put_resource
from app.operations.put_subscription import put_subscription
from app.operations.put_tax_rate import put_tax_rate
from app.operations.put_tenant import put_tenant
from app.storage import job_store
from app.storage.database import Database
from app.storage.tables import catalog_version, meter_revisions
from app.wire.meters import meter_from_wire
from app.wire.plans import plan_from_wire
from app.wire.resources import resource_from_wire
from app.wire.subscriptions import subscription_from_wire
from app.wire.tax_rates import tax_rate_from_wire
from app.wire.tenants import tenant_from_wire

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TENANT = {"name": "Acme", "currency": "EUR", "time_zone": "Europe/Paris"}
METER = {"event_type": "t", "aggregation": "count", "unit": "call"}
PLAN = {
    "name": "P", "currency": "EUR", "interval": "month",
    "charges": [{"key": "c", "meter": "calls", "model": {"type": "per_unit", "unit_price": "1"}}],
}  # fmt: skip
BASE = """
tenants: {acme: {name: Acme, currency: EUR, time_zone: Europe/Paris}}
meters: {calls: {event_type: t, aggregation: count, unit: call}}
plans:
  p:
    name: P
    currency: EUR
    interval: month
    charges: [{key: c, meter: calls, model: {type: per_unit, unit_price: 1}}]
    publish: {effective_at: 2020-01-01T00:00:00Z}
"""


def set_up(database: Database) -> None:
    apply_catalog(database, BASE, name="base", now=NOW)


def at_once(work: Callable[[int], Any], times: int = 8) -> list[Any]:
    """What each of the threads got, or the error it met."""

    def attempt(number: int) -> Any:
        try:
            return work(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(attempt, range(times)))


def version(database: Database) -> int:
    found: int = database.read(lambda c: c.execute(sa.select(catalog_version.c.version)).scalar_one())
    return found


def test_an_object_put_by_many_at_once_is_made_once(database: Database) -> None:
    set_up(database)
    rate = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
    puts: list[Callable[[int], Saved]] = [
        lambda _: put_tenant(database, tenant_from_wire("beta", TENANT), now=NOW),
        lambda _: put_resource(
            database, resource_from_wire("r", {"name": "R", "kind": "saas", "owner": "acme"}), now=NOW
        ),
        lambda _: put_meter(database, meter_from_wire("m", METER), now=NOW),
        lambda _: put_tax_rate(database, tax_rate_from_wire("t", rate)),
        lambda _: put_plan(database, plan_from_wire("q", PLAN)),
        lambda _: put_subscription(
            database, subscription_from_wire("s", {"tenant": "acme", "plan": "p", "start": "2026-01-01"})
        ),
    ]
    for put in puts:
        assert sorted(saved.created for saved in at_once(put)) == [False] * 7 + [True]


def test_of_many_that_would_price_one_meter_one_wins(database: Database) -> None:
    set_up(database)
    body = {"tenant": "acme", "plan": "p", "start": "2026-01-01"}
    results = at_once(lambda number: put_subscription(database, subscription_from_wire(f"s{number}", body)))
    assert sum(isinstance(result, Saved) for result in results) == 1
    assert sum(isinstance(result, SubscriptionsOverlap) for result in results) == 7


def test_of_many_that_would_be_the_operator_one_is(database: Database) -> None:
    body = TENANT | {"operator": True}
    results = at_once(lambda number: put_tenant(database, tenant_from_wire(f"t{number}", body), now=NOW))
    assert sum(isinstance(result, Saved) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7


def test_the_version_rises_with_what_can_be_counted_and_with_nothing_else(database: Database) -> None:
    set_up(database)
    before = version(database)
    put_tenant(database, tenant_from_wire("acme", TENANT | {"name": "New"}), now=NOW)
    put_meter(database, meter_from_wire("calls", METER | {"unit": "request"}), now=NOW)
    assert version(database) == before
    put_tenant(database, tenant_from_wire("acme", TENANT | {"subjects": ["a"]}), now=NOW)
    put_meter(database, meter_from_wire("calls", METER | {"event_type": "u"}), now=NOW)
    put_resource(database, resource_from_wire("r", {"name": "R", "kind": "saas", "owner": "acme"}), now=NOW)
    assert version(database) == before + 3


def test_a_revision_that_is_overtaken_while_it_is_built_is_given_up(database: Database) -> None:
    """The first was never active: the third takes over from nothing, and both that were given up are retired."""
    for event_type in ("a", "b", "c"):
        put_meter(database, meter_from_wire("m", METER | {"event_type": event_type}), now=NOW)
    query = sa.select(meter_revisions.c.state, meter_revisions.c.since_version).order_by(meter_revisions.c.revision)
    rows = database.read(lambda c: [tuple(row) for row in c.execute(query)])
    assert [state for state, _ in rows] == ["retired", "retired", "building"]
    assert rows[-1][1] == version(database)
    assert len(database.read(lambda c: job_store.unfinished(c, ("catch_up_meter",)))) == 3
