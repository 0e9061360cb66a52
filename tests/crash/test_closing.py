"""Many processes that bill the same subscriptions, and processes that are killed while they do: every period is billed
once, numbers have no gap, and what was billed is in the end what was used."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from multiprocessing.context import ForkServerProcess as Process
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.commands.close import close_all
from app.domain.events import UsageEvent
from app.domain.invoices import Invoice
from app.operations.cancel_event import Cancelling, cancel_event
from app.operations.grant_credit import grant_credit
from app.operations.ingest_events import Outcomes, Post, ingest_events
from app.operations.publish_plan import publish_plan
from app.operations.put_meter import put_meter
from app.operations.put_plan import put_plan
from app.operations.put_subscription import put_subscription
from app.operations.put_tenant import put_tenant
from app.settings import Settings
from app.storage import credit_store, invoice_store, job_store, tenant_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import billing_instants, invoices
from app.wire.credit import grant_from_wire
from app.wire.meters import meter_from_wire
from app.wire.plans import plan_from_wire
from app.wire.subscriptions import subscription_from_wire
from app.wire.tenants import tenant_from_wire
from app.workers.runner import Runner
from tests.crash.running import (
    BOUND_SECONDS,
    LEASE_SECONDS,
    assert_books_are_clean,
    command,
    settle,
    utc_now,
    wait_until,
)
from tests.service import ACME, ENERGY, OPERATOR, PER_UNIT, SESSIONS

TYPE = "charging.session.ended"
STARTED = {"key": "started", "meter": "sessions", "allowance": "2", "model": {"type": "per_unit", "unit_price": "1.00"}}
BASE = {"key": "base", "model": {"type": "flat", "amount": "9.90"}, "timing": "advance"}
PLAN = {"name": "Standard", "currency": "EUR", "interval": "month", "charges": [PER_UNIT, STARTED, BASE]}
LAST_MONTH = 10
GRANTED = {"promotional": Decimal("45.00"), "prepaid": Decimal("60.00")}


class World:
    """Companies with a subscription each from January 2026, and what they used as the test knows it."""

    def __init__(self, database: Database, companies: int) -> None:
        self.database = database
        self.cache = CatalogCache()
        self.companies = [f"company-{number}" for number in range(companies)]
        self.used: dict[tuple[str, int], dict[str, Decimal]] = defaultdict(dict)
        """kWh by event id, by (company, month)"""
        now = utc_now()
        put_tenant(database, tenant_from_wire("garage", OPERATOR), now=now)
        put_meter(database, meter_from_wire("energy", ENERGY), now=now)
        put_meter(database, meter_from_wire("sessions", SESSIONS), now=now)
        settle(database)
        put_plan(database, plan_from_wire("standard", PLAN))
        publish_plan(database, "standard", datetime(2020, 1, 1, tzinfo=UTC))
        for key in self.companies:
            put_tenant(database, tenant_from_wire(key, ACME | {"name": key, "subjects": []}), now=now)
            wish = {"tenant": key, "plan": "standard", "start": "2026-01-01"}
            put_subscription(database, subscription_from_wire(f"{key}-1", wish))
        self.tenant_ids = database.read(
            lambda connection: {item.key: item.tenant_id for item in tenant_store.all_tenants(connection)}
        )

    def use(self, rng: random.Random, count: int, *, months: range) -> None:
        """So many more sessions, of any company at any time of these months, in one request."""
        sent = []
        for _ in range(count):
            company, month = rng.choice(self.companies), rng.choice(months)
            kwh, id = Decimal(rng.randrange(1, 4000)) / 100, f"s{rng.getrandbits(64)}"
            # The days stay clear of the months' edges, which lie in Paris.
            at = datetime(2026, month, rng.randrange(2, 28), rng.randrange(24), rng.randrange(60), tzinfo=UTC)
            fields = {"kwh": str(kwh), "station": str(rng.randrange(3))}
            text = f'{{"kwh": "{kwh}", "station": "{fields["station"]}"}}'
            sent.append(UsageEvent("/chargers/12", id, TYPE, company, "", at, text, fields))
            self.used[company, month][id] = kwh
        (outcomes,) = ingest_events(self.database, self.cache, [Post(sent, utc_now())], future=timedelta(days=1))
        assert isinstance(outcomes, Outcomes)
        assert outcomes.exceptions == {}

    def take_back(self, rng: random.Random, count: int) -> None:
        """Cancels so many sessions."""
        for _ in range(count):
            place = rng.choice(sorted(key for key, sessions in self.used.items() if sessions))
            id = rng.choice(sorted(self.used[place]))
            del self.used[place][id]
            wanted = Cancelling(self.tenant_ids[place[0]], "/chargers/12", id, "sent by mistake")
            cancel_event(self.database, self.cache, wanted, now=utc_now(), future=timedelta(days=1))

    def owed(self, company: str, month: int) -> dict[str, Decimal]:
        """What the month comes to by charge: 0.30 a kWh, 1.00 for each session but the first two, 9.90."""
        sessions = self.used[company, month]
        energy = (sum(sessions.values(), Decimal(0)) * Decimal("0.30")).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return {"energy": energy, "started": Decimal(max(0, len(sessions) - 2)), "base": Decimal("9.90")}

    def documents(self) -> list[Invoice]:
        """All that was issued, in order of issue."""
        seller = self.tenant_ids["garage"]
        stored = self.database.read(
            lambda connection: invoice_store.in_series(connection, seller, after=0, limit=100_000)
        )
        return [item.invoice for item in stored]

    def close(self, month: int) -> None:
        """One more run, in this process, through the first of the month after."""
        settings = Settings(lease_seconds=LEASE_SECONDS)
        run = close_all(self.database, settings, through=datetime(2026, month + 1, 1, tzinfo=UTC))
        assert (run.status, run.failed) == ("done", 0), run.failures


def assert_billed_is_used(world: World, through_month: int) -> None:
    """By company, month and charge: the lines issued less what credit notes reopened is what the month comes to now."""
    billed: dict[tuple[str, int, str], Decimal] = defaultdict(Decimal)
    charged: Counter[tuple[str, int, str]] = Counter()
    documents = world.documents()
    for document in documents:
        for line in document.lines:
            month = (line.period.start + timedelta(days=3)).month
            place = document.buyer.key, month, line.charge
            billed[place] += -line.amount if line.kind == "credit" else line.amount
            charged[place] += line.kind == "charge"
    wanted = {
        (company, month, charge): amount
        for company in world.companies
        for month in range(1, through_month + 1)
        for charge, amount in world.owed(company, month).items()
    } | {(company, through_month + 1, "base"): Decimal("9.90") for company in world.companies}
    assert billed == wanted
    assert charged == Counter(wanted.keys()), "each stretch of each charge was charged once"
    assert_credit_is_used_once(world, documents)
    assert [document.number for document in documents] == [f"2026-{n:06}" for n in range(1, len(documents) + 1)]
    assert [document.previous_hash for document in documents] == ["", *(item.hash for item in documents)][:-1]


def assert_credit_is_used_once(world: World, documents: Sequence[Invoice]) -> None:
    """What each company's documents took is what its grants have no more."""
    left: dict[tuple[str, str], Decimal] = {}
    for key in world.companies:
        for grant in world.database.read(partial(credit_store.grants_of, tenant_id=world.tenant_ids[key])):
            left[key, grant.kind] = grant.left
    taken = {place: GRANTED[place[1]] - amount for place, amount in left.items()}
    used: dict[tuple[str, str], Decimal] = dict.fromkeys(left, Decimal(0))
    for document in documents:
        credit = sum((item.amount for item in document.allowances), Decimal(0))
        used[document.buyer.key, "promotional"] += -credit if document.type == "credit_note" else credit
        used[document.buyer.key, "prepaid"] += document.paid
    assert used == taken
    assert all(taken.values())


def assert_instants_are_billed_once(database: Database, *, instants: int) -> None:
    """One issued invoice an instant, and no draft is left over."""

    def count(connection: sa.Connection) -> tuple[dict[str, int], dict[Any, int], int]:
        states = connection.execute(
            sa.select(billing_instants.c.status, sa.func.count()).group_by(billing_instants.c.status)
        )
        own = sa.select(invoices.c.subscription_id, invoices.c.billing_at, sa.func.count())
        own = own.where(invoices.c.type == "invoice", invoices.c.status == "issued")
        places = connection.execute(own.group_by(invoices.c.subscription_id, invoices.c.billing_at))
        drafts = connection.execute(
            sa.select(sa.func.count()).select_from(invoices).where(invoices.c.status == "draft")
        )
        return {row[0]: row[1] for row in states}, {row[:2]: row[2] for row in places}, drafts.scalar_one()

    states, places, drafts = database.read(count)
    assert states["billed"] == instants == len(places)
    assert set(places.values()) == {1}
    assert drafts == 0


@pytest.fixture
def world(database: Database) -> World:
    return used_world(database, companies=6)


def used_world(database: Database, companies: int) -> World:
    """With credit that some of the first documents use up: what is used of it is used once."""
    world = World(database, companies=companies)
    for key in world.companies:
        for kind, amount in GRANTED.items():
            wish = grant_from_wire({"tenant": key, "kind": kind, "amount": str(amount)})
            grant_credit(database, wish, idempotency_key=None, now=utc_now())
    world.use(random.Random(1), 300, months=range(1, LAST_MONTH + 1))
    return world


def closing(database_url: str, log: Path, month: int) -> Process:
    """A process that runs `quotepart close` through the end of the month."""
    return command(database_url, ["close", "--through", f"2026-{month + 1:02}-01"], log)


def test_four_processes_close_and_correct_the_same_subscriptions(
    world: World, database_url: str, tmp_path: Path
) -> None:
    """Four commands close all months at once, thrice, while late sessions come and others are cancelled; then a last
    run closes October and bills and credits what the runs before could not know."""
    rng = random.Random(2)
    for round in range(3):
        running = [closing(database_url, tmp_path / f"close-{n}.log", 7 + round) for n in range(4)]
        for _ in range(6):
            issued = len(world.documents())
            wait_until(
                lambda: len(world.documents()) > issued + 3 or not any(item.is_alive() for item in running),  # noqa: B023
                "documents to be issued",
            )
            world.use(rng, 20, months=range(1, LAST_MONTH))
            world.take_back(rng, 5)
        for process in running:
            process.join(BOUND_SECONDS)
        said = [(tmp_path / f"close-{n}.log").read_text() for n in range(4)]
        assert [process.exitcode for process in running] == [0] * 4, said

    world.close(LAST_MONTH)

    # The start, where 9.90 is due in advance, and the ends of ten months.
    assert_instants_are_billed_once(world.database, instants=len(world.companies) * (LAST_MONTH + 1))
    assert_billed_is_used(world, LAST_MONTH)
    assert {document.type for document in world.documents()} == {"invoice", "credit_note"}
    assert_books_are_clean(world.database)
    issued = len(world.documents())
    world.close(LAST_MONTH)
    assert len(world.documents()) == issued, "with nothing new there is nothing to bill"


def test_killed_five_times_while_it_closes_it_bills_every_period_once(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Each of five commands is killed after it has issued some more documents, with changes in between; a worker then
    takes over the runs that they left. Each closes a month more than the one before: a quick machine may come to the
    end of what is due before it is killed, though not of the first five months of all."""
    world = used_world(database, companies=30)
    rng, log = random.Random(3), tmp_path / "close.log"
    killed = 0
    for turn in range(5):
        before = len(world.documents())
        process = closing(database_url, log, 5 + turn)
        more = rng.randrange(1, 11)
        wait_until(lambda: len(world.documents()) >= before + more, "documents to be issued")  # noqa: B023
        process.kill()
        process.join()
        killed += process.exitcode != 0
        assert_books_are_clean(world.database)
        world.use(rng, 10, months=range(1, 3 + turn))
        world.take_back(rng, 3)

    assert killed, "one at least had not come to its end"
    runner = Runner(
        world.database, CatalogCache(), clock=utc_now, future=timedelta(days=1), lease_seconds=LEASE_SECONDS,
        terms_days=30,
    )  # fmt: skip
    wait_until(lambda: runner.run_one() or not _left(world.database), "the runs left to be taken over")
    wait_until(lambda: not (runner.run_one() or _left(world.database)), "the runs left to be finished")
    assert_instants_are_billed_once(world.database, instants=len(world.companies) * 10)

    world.close(LAST_MONTH)

    assert_instants_are_billed_once(world.database, instants=len(world.companies) * (LAST_MONTH + 1))
    assert_billed_is_used(world, LAST_MONTH)
    assert_books_are_clean(world.database)


def _left(database: Database) -> list[job_store.Job]:
    return database.read(lambda connection: job_store.unfinished(connection, ("billing_run",)))
