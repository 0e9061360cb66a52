"""Put a tenant on a plan, or change when and on which terms. What is billed stays as it is billed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import (
    Conflict,
    CurrencyMismatch,
    FieldProblem,
    InvalidInput,
    PeriodAlreadyIssued,
    SubscriptionsOverlap,
)  # fmt: skip
from app.domain.events import instant_text
from app.domain.ids import new_id
from app.domain.periods import local_date, start_of_day
from app.domain.plans import PlanVersion
from app.domain.subscriptions import Subscription, find_overlap, may_be_midnight_of, override_problems
from app.domain.tenants import Tenant
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.operations.show_catalog import show_subscription
from app.storage import catalog_store, invoice_store, subscription_store, tenant_store
from app.storage.database import Database
from app.wire.parsing import escaped
from app.wire.subscriptions import SubscriptionWish


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What decides over a wish: its tenant and plan, the subscription as it stands and until when it is closed."""

    tenant: Tenant
    versions: tuple[PlanVersion, ...]
    before: Subscription | None
    settled_until: datetime | None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.tenant.time_zone)


def put_subscription(database: Database, wish: SubscriptionWish, *, if_match: str | None = None) -> Saved:
    """Raises InvalidInput, SubscriptionsOverlap, CurrencyMismatch, Conflict or PeriodAlreadyIssued."""
    return write_catalog(database, lambda connection: save_subscription(connection, wish, if_match=if_match))


def save_subscription(connection: Connection, wish: SubscriptionWish, *, if_match: str | None = None) -> Saved:
    gathered = _gather(connection, wish)
    shown = show_subscription(connection, wish.key)
    check_precondition(if_match, shown)
    after = _decide(connection, wish, gathered)

    before = gathered.before
    if after != before:
        _apply(connection, before, after)
    final = show_subscription(connection, wish.key)
    assert final is not None
    return Saved(shown, final)


def _gather(connection: Connection, wish: SubscriptionWish) -> _Gathered:
    # Plan, then tenant, then subscription: one order for all who lock several.
    has_plan = catalog_store.lock_plan(connection, wish.plan, shared=True)
    tenant = tenant_store.lock(connection, wish.tenant)
    problems = []
    if tenant is None:
        problems.append(FieldProblem("#/tenant", f"there is no tenant {wish.tenant!r}"))
    versions = catalog_store.plan_versions(connection, wish.plan)
    if not has_plan:
        problems.append(FieldProblem("#/plan", f"there is no plan {wish.plan!r}"))
    elif not versions:
        problems.append(FieldProblem("#/plan", f"plan {wish.plan!r} has no published version yet"))
    _raise(problems)
    assert tenant is not None
    before = subscription_store.find(connection, wish.key)
    settled_until = None
    if before is not None:
        key = (before.tenant_id, before.subscription_id)
        subscription_store.lock(connection, key)
        before = subscription_store.find(connection, wish.key)
        settled_until = subscription_store.settled_until(connection, key)
    return _Gathered(tenant, versions, before, settled_until)


def _decide(connection: Connection, wish: SubscriptionWish, gathered: _Gathered) -> Subscription:
    wanted = _wanted(wish, gathered)
    tenant, versions = gathered.tenant, gathered.versions
    problems: list[FieldProblem] = []
    if wanted.end is not None and wanted.end <= wanted.start:
        problems.append(FieldProblem("#/end", "the end is not after the start"))
    first = versions[0].effective_at
    if wanted.start < first:
        problems.append(FieldProblem("#/start", f"the plan is in force from {instant_text(first)} only"))
    chosen = [item for item in versions if wish.version in (None, item.version)]
    if not chosen:
        problems.append(FieldProblem("#/version", f"plan {wish.plan!r} has no published version {wish.version}"))
    else:
        found = override_problems(wanted.overrides, chosen) + _unknown_rates(connection, wanted)
        problems += [FieldProblem("#" + item.pointer, item.detail) for item in found]
    _raise(problems)
    currency = versions[0].terms.currency
    if currency != tenant.currency:
        raise CurrencyMismatch(
            f"Plan {wish.plan!r} is in {currency} and tenant {tenant.key!r} in {tenant.currency}.",
            problems=(FieldProblem("#/plan", f"is in {currency}, the tenant in {tenant.currency}"),),
        )
    _check_settled(gathered, wanted)
    _check_overlap(connection, wanted)
    return wanted


def _wanted(wish: SubscriptionWish, gathered: _Gathered) -> Subscription:
    before, zone = gathered.before, gathered.zone
    start = _instant(wish.start, zone, before.start if before and gathered.settled_until else None)
    end = None
    if wish.end is not None:
        end = _instant(wish.end, zone, before.end if before and gathered.settled_until else None)
    keeps_start = before is not None and before.start == start
    return Subscription(
        tenant_id=gathered.tenant.tenant_id, subscription_id=before.subscription_id if before else new_id(),
        key=wish.key, tenant=wish.tenant, plan=wish.plan, start=start, end=end,
        start_date=before.start_date if before and keeps_start else local_date(start, zone),
        pinned_version=wish.version, overrides=wish.overrides,
    )  # fmt: skip


def _instant(wished: date | datetime, zone: ZoneInfo, settled: datetime | None) -> datetime:
    """The instant; what is billed stays at the midnight that the date was when the tenant's zone was another."""
    if isinstance(wished, datetime):
        return wished
    if settled is not None and may_be_midnight_of(wished, settled, zone):
        return settled
    return start_of_day(wished, zone)


def _unknown_rates(connection: Connection, wanted: Subscription) -> list[FieldProblem]:
    rates = catalog_store.tax_rates(connection)
    return [
        FieldProblem(f"/overrides/charges/{escaped(item.charge)}/tax", f"there is no tax rate {value!r}")
        for item in wanted.overrides
        for name, value in item.fields
        if name == "tax" and value is not None and value not in rates
    ]


def _check_settled(gathered: _Gathered, wanted: Subscription) -> None:
    """Raises where the wish would contradict what is issued."""
    before, settled_until = gathered.before, gathered.settled_until
    if before is None or settled_until is None:
        return
    for name in ("tenant", "plan", "start"):
        if getattr(before, name) != getattr(wanted, name):
            raise Conflict(
                f"Subscription {before.key!r} is billed until {instant_text(settled_until)}: its tenant, plan and "
                "start are fixed. End it, and begin another.",
                field=name, billed_until=instant_text(settled_until),
            )  # fmt: skip
    if before.end is not None and settled_until >= before.end and wanted.end != before.end:
        raise Conflict(
            f"Subscription {before.key!r} has ended and is billed to its end: begin another.", field="end",
            billed_until=instant_text(settled_until),
        )  # fmt: skip
    if wanted.end is not None and wanted.end != before.end and wanted.end < settled_until:
        raise PeriodAlreadyIssued(
            f"The use until {instant_text(settled_until)} is billed: the subscription ends then or later.",
            billed_until=instant_text(settled_until),
        )


def _check_overlap(connection: Connection, wanted: Subscription) -> None:
    others = subscription_store.of_tenants(connection, [wanted.tenant_id])
    plans = sorted({item.plan for item in others} | {wanted.plan})
    overlap = find_overlap([wanted], others, catalog_store.versions_by_plan(connection, plans))
    if overlap is not None:
        detail = (
            f"Subscription {overlap.other!r} of the same tenant prices meter {overlap.meter!r} too, at the same time, "
            f"from {instant_text(overlap.start)}."
        )
        raise SubscriptionsOverlap(
            detail, problems=(FieldProblem("#/start", detail),), meter=overlap.meter, subscription=overlap.other
        )


def _apply(connection: Connection, before: Subscription | None, after: Subscription) -> None:
    if before is not None:
        key = (before.tenant_id, before.subscription_id)
        schedule = (before.tenant_id, before.plan, before.start, before.end)
        if schedule != (after.tenant_id, after.plan, after.start, after.end):
            subscription_store.forget_open_instants(connection, key, keep=_paid_until(connection, before, after))
        if before.tenant_id != after.tenant_id:
            subscription_store.delete(connection, before)
    subscription_store.save(connection, after)


def _paid_until(connection: Connection, before: Subscription, after: Subscription) -> set[datetime]:
    """The instants up to which something is paid in advance. They stay where they are, whatever the tenant's zone is by
    now; an end, old or new, is none."""
    key = (before.tenant_id, before.subscription_id)
    ends = {stretch.end for _, stretch in invoice_store.billed_stretches(connection, *key, after=before.start)}
    return {at for at in ends if at != before.end and (after.end is None or at < after.end)}


def _raise(problems: list[FieldProblem]) -> None:
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
