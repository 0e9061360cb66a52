"""A plan over past use, beside what is in force or beside a second plan: tenant by tenant, nothing billed is touched.

What closing rates, this rates: the same stretches, meters and pipeline, over what was used as the database stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.billing import BillingPeriod, Versions, extend_instants, period_between, schedule_terms
from app.domain.errors import BillingError, CannotBill, FieldProblem, InvalidInput
from app.domain.ids import NOBODY
from app.domain.periods import BillingInstant, Period, local_date, start_of_day
from app.domain.plans import PlanTerms, PlanVersion, schedule_of
from app.domain.simulations import ChargeAmount, SimulatedPlan, SimulationRequest, Skipped, TenantChange, change_of
from app.domain.subscriptions import Overrides, Subscription, priced_meters
from app.domain.tenants import Tenant
from app.operations.billing_books import NOT_TAXED, Books, billables, charge_line
from app.operations.rate_period import meters_by_key, rate_billable
from app.operations.settle_shared import settle_shared
from app.storage import billing_store, catalog_store, subscription_store, tenant_store
from app.storage.database import Database

BATCH = 100
"""Tenants that are simulated on one snapshot of the database."""
MAX_DAYS = 5 * 366
_WESTMOST, _EASTMOST = timedelta(hours=12), timedelta(hours=14)
_UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Batch:
    """What some tenants, in order of their keys, come to; `last` is the last of them."""

    last: str
    changes: tuple[TenantChange, ...]
    skipped: tuple[Skipped, ...]


def check_simulation(database: Database, request: SimulationRequest) -> None:
    """Raises InvalidInput for a range that is none, and for tenants, plans and meters that there are not."""
    database.read(lambda connection: _check(connection, request))


def _check(connection: Connection, request: SimulationRequest) -> None:
    days = (_day(request.end) - _day(request.start)).days
    problems: list[FieldProblem] = []
    if _instant(request.end, _UTC_ZONE) <= _instant(request.start, _UTC_ZONE):
        problems.append(FieldProblem("#/end", "end must lie after start"))
    elif days > MAX_DAYS:
        problems.append(FieldProblem("#/end", f"a simulation covers at most {MAX_DAYS} days"))
    known = set(tenant_store.known_keys(connection, request.tenants or ()))
    problems += [
        FieldProblem(f"#/tenants/{index}", f"there is no tenant {key!r}")
        for index, key in enumerate(request.tenants or ())
        if key not in known
    ]
    plans = catalog_store.known_plans(connection, request.replaces)
    problems += [
        FieldProblem(f"#/replaces/{index}", f"there is no plan {key!r}")
        for index, key in enumerate(request.replaces)
        if key not in plans
    ]
    for name, plan in (("plan", request.plan), ("against", request.against)):
        if plan is not None:
            problems += _unknown_meters(connection, plan, f"#/{name}")
    if request.against is not None and request.against.terms.currency != request.plan.terms.currency:
        problems.append(FieldProblem("#/against/currency", "two plans are compared in one currency"))
    if problems:
        raise InvalidInput("; ".join(item.detail for item in problems[:10]), problems=tuple(problems))


def _unknown_meters(connection: Connection, plan: SimulatedPlan, pointer: str) -> Iterator[FieldProblem]:
    known = catalog_store.known_meters(connection, priced_meters(plan.terms))
    for index, charge in enumerate(plan.terms.charges):
        if charge.meter is not None and charge.meter not in known:
            yield FieldProblem(f"{pointer}/charges/{index}/meter", f"there is no meter {charge.meter!r}")


def _day(moment: date | datetime) -> date:
    return moment.date() if isinstance(moment, datetime) else moment


def plan_of_catalog(database: Database, key: str, *, published_only: bool = False) -> SimulatedPlan | None:
    """A plan of the catalog as it would be published next: its draft, or its latest version; the latter only, where
    only what is published may be seen."""
    plan = database.read(lambda connection: catalog_store.find_plan(connection, key))
    if plan is None or (published_only and plan.latest is None):
        return None
    terms = plan.latest.terms if published_only and plan.latest is not None else plan.shown_terms
    return SimulatedPlan(plan.key, plan.name, terms)


def tenants_due(database: Database, request: SimulationRequest) -> list[str]:
    """The keys of the tenants that the simulation is about, in order."""
    if request.tenants is not None:
        return sorted(set(request.tenants))
    earliest = datetime.combine(_day(request.start), datetime.min.time(), UTC) - _EASTMOST
    latest = datetime.combine(_day(request.end), datetime.max.time(), UTC) + _WESTMOST
    known = database.read(subscription_store.all_subscriptions)
    return sorted({
        item.tenant
        for item in known
        if item.start < latest and (item.end is None or item.end > earliest) and _is_replaced(item, request)
    })  # fmt: skip


def simulate_plan(database: Database, request: SimulationRequest, tenants: Sequence[str]) -> Iterator[Batch]:
    """The tenants' changes, batch by batch in the order given, each as the database stands when it is computed."""
    for start in range(0, len(tenants), BATCH):
        chunk = tenants[start : start + BATCH]
        yield database.read(lambda connection, keys=chunk: _batch(connection, request, keys))  # type: ignore[misc]


def _batch(connection: Connection, request: SimulationRequest, keys: Sequence[str]) -> Batch:
    simulator = _Simulator(connection, request, keys)
    changes: list[TenantChange] = []
    skipped: list[Skipped] = []
    for key in keys:
        try:
            found = simulator.change(key)
        except BillingError as error:
            skipped.append(Skipped(key, error.detail))
        else:
            changes += [found] if found is not None else []
    return Batch(keys[-1], tuple(changes), tuple(skipped))


class _Simulator:
    """Reads what some tenants have in common once."""

    def __init__(self, connection: Connection, request: SimulationRequest, keys: Sequence[str]) -> None:
        self._connection = connection
        self._request = request
        wanted = set(keys)
        self._tenants = {item.key: item for item in tenant_store.all_tenants(connection) if item.key in wanted}
        ids = [item.tenant_id for item in self._tenants.values()]
        self._subscriptions: dict[str, list[Subscription]] = {}
        for item in subscription_store.of_tenants(connection, ids):
            if _is_replaced(item, request):
                self._subscriptions.setdefault(item.tenant, []).append(item)
        own = [item for items in self._subscriptions.values() for item in items]
        self._instants = billing_store.instants_by_subscription(
            connection, [(item.tenant_id, item.subscription_id) for item in own]
        )
        self._versions = catalog_store.versions_by_plan(
            connection, sorted({plan for item in own for plan in item.plans})
        )
        self._meters = meters_by_key(connection)
        self._seller = tenant_store.operator(connection)
        self._tax_rates = catalog_store.tax_rates(connection)

    def change(self, key: str) -> TenantChange | None:
        """None where the tenant has nothing in the range, unless it was asked for by name."""
        tenant = self._tenants.get(key)
        if tenant is None:
            return None
        if tenant.currency != self._request.plan.terms.currency:
            raise CannotBill(f"The tenant is billed in {tenant.currency}, the plan is in another currency.")
        zone = ZoneInfo(tenant.time_zone)
        start, end = _instant(self._request.start, zone), _instant(self._request.end, zone)
        if start >= end:
            raise CannotBill("In this tenant's time zone the range ends before it starts.")
        span = Period(start, end)
        subscriptions = [item for item in self._subscriptions.get(key, ()) if _overlaps(item, span)]
        if not subscriptions and self._request.tenants is None:
            return None
        active = _active(subscriptions, span)
        against = self._request.against
        old = (
            self._by_plan(tenant, subscriptions, against, active)
            if against is not None
            else (amount for item in subscriptions for amount in self._in_force(tenant, item, span))
        )
        return change_of(key, old, self._by_plan(tenant, subscriptions, self._request.plan, active))

    def _in_force(self, tenant: Tenant, subscription: Subscription, span: Period) -> Iterator[ChargeAmount]:
        """What the subscription costs by the terms in force."""
        rows = self._instants.get((subscription.tenant_id, subscription.subscription_id), [])
        known = [row.instant for row in rows]
        yield from self._amounts(tenant, subscription, self._versions, known, [span])

    def _by_plan(
        self, tenant: Tenant, subscriptions: Sequence[Subscription], plan: SimulatedPlan, active: Sequence[Period]
    ) -> Iterator[ChargeAmount]:
        """What the plan costs in place of the subscriptions, wherever there was one; throughout, where there was none.
        Terms that a subscription has otherwise hold for a plan of the same key."""
        if not active:
            return
        zone = ZoneInfo(tenant.time_zone)
        first = min(subscriptions, key=lambda item: item.start, default=None)
        if first is None:
            start = active[0].start
            taken = Subscription(
                tenant.tenant_id, NOBODY, "", tenant.key, plan.key, start, None, local_date(start, zone)
            )  # fmt: skip
        else:
            ends = [item.end for item in subscriptions]
            end = None if None in ends else max(item for item in ends if item is not None)
            taken = replace(
                first, plan=plan.key, end=end, pinned_version=None, changes=(),
                overrides=_overrides(subscriptions, plan.key),
            )  # fmt: skip
        versions = {plan.key: (PlanVersion(plan.key, 1, taken.start, plan.terms),)}
        yield from self._amounts(tenant, taken, versions, self._shared_instants(first, taken, plan.terms), active)

    def _amounts(
        self, tenant: Tenant, subscription: Subscription, versions: Versions, known: Sequence[BillingInstant],
        spans: Sequence[Period],
    ) -> Iterator[ChargeAmount]:  # fmt: skip
        """`known` are the billing instants that the subscription has had."""
        if self._seller is None:
            raise CannotBill("No tenant is the operator, so there is no seller: set `operator` on one tenant.")
        books = Books(subscription, tenant, self._seller, versions, self._meters, self._tax_rates)
        lines = [
            charge_line(
                books, item, rate_billable(self._connection, item, tenant_id=tenant.tenant_id, meters=self._meters),
                NOT_TAXED,
            )
            for period in _periods(books, known, spans)
            for item in billables(books, period)
        ]  # fmt: skip
        settled = settle_shared(
            self._connection, books, [], lines, earlier=lambda: (), settled_until=None, at=spans[-1].end
        )
        for line in settled.lines:
            yield ChargeAmount(line.charge, line.description, line.unit, line.quantity, line.amount)

    def _shared_instants(self, own: Subscription | None, taken: Subscription, terms: PlanTerms) -> list[BillingInstant]:
        """Those that the subscription has had, where the terms count periods as its own plan does."""
        if own is None or own.changes or own.end != taken.end:
            return []
        if schedule_of(schedule_terms(self._versions, own.phases[0])) != schedule_of(terms):
            return []
        return [row.instant for row in self._instants.get((own.tenant_id, own.subscription_id), [])]


def _overrides(subscriptions: Sequence[Subscription], plan: str) -> Overrides:
    """What a subscription has otherwise than the plan, the latest first."""
    found = [phase.overrides for item in subscriptions for phase in item.phases if phase.plan == plan]
    return found[-1] if found else ()


def _periods(books: Books, known: Sequence[BillingInstant], spans: Sequence[Period]) -> Iterator[BillingPeriod]:
    """The parts of the subscription's billing periods that lie in one of the spans."""
    subscription = books.subscription
    instants = extend_instants(known, subscription, books.versions, zone=books.zone, until=spans[-1].end)
    for first, second in pairwise(instants):
        whole = period_between(first, second, subscription, books.versions)
        for span in spans:
            start, end = max(whole.period.start, span.start), min(whole.period.end, span.end)
            if start < end:
                yield replace(whole, period=Period(start, end))


def _is_replaced(subscription: Subscription, request: SimulationRequest) -> bool:
    return not request.replaces or bool(subscription.plans & set(request.replaces))


def _overlaps(subscription: Subscription, span: Period) -> bool:
    return subscription.start < span.end and (subscription.end is None or subscription.end > span.start)


def _active(subscriptions: Sequence[Subscription], span: Period) -> list[Period]:
    """The parts of the span in which there is a subscription, in order; all of it where there is none at all."""
    if not subscriptions:
        return [span]
    found: list[Period] = []
    for item in sorted(subscriptions, key=lambda one: one.start):
        start, end = max(item.start, span.start), span.end if item.end is None else min(item.end, span.end)
        if found and start <= found[-1].end:
            found[-1] = Period(found[-1].start, max(found[-1].end, end))
        else:
            found.append(Period(start, end))
    return found


def _instant(moment: date | datetime, zone: ZoneInfo) -> datetime:
    return moment if isinstance(moment, datetime) else start_of_day(moment, zone)
