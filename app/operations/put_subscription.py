"""Put a tenant on a plan, or change when and on which terms. What is billed stays as it is billed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.charge_models import meter_problems
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
from app.domain.meters import Meter
from app.domain.periods import local_date, start_of_day
from app.domain.plans import PlanVersion, schedule_of
from app.domain.subscriptions import (
    Overrides,
    Phase,
    PlanChange,
    Subscription,
    find_overlap,
    may_be_midnight_of,
    override_problems,
    terms_at,
)  # fmt: skip
from app.domain.tenants import Tenant
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.operations.show_catalog import show_subscription
from app.storage import catalog_store, invoice_store, meter_store, subscription_store, tenant_store
from app.storage.database import Database
from app.storage.invoice_store import BilledStretch
from app.wire.parsing import escaped
from app.wire.subscriptions import ChangeWish, SubscriptionWish


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What decides over a wish: its tenant and plans, the subscription as it stands and until when it is closed."""

    tenant: Tenant
    versions: dict[str, tuple[PlanVersion, ...]]
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
    plans = sorted({wish.plan} | {change.plan for change in wish.changes})
    known = {plan for plan in plans if catalog_store.lock_plan(connection, plan, shared=True)}
    tenant = tenant_store.lock(connection, wish.tenant)
    problems = []
    if tenant is None:
        problems.append(FieldProblem("#/tenant", f"there is no tenant {wish.tenant!r}"))
    versions = catalog_store.versions_by_plan(connection, plans)
    for path, plan in _named_plans(wish):
        if plan not in known:
            problems.append(FieldProblem(f"{path}/plan", f"there is no plan {plan!r}"))
        elif not versions[plan]:
            problems.append(FieldProblem(f"{path}/plan", f"plan {plan!r} has no published version yet"))
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


def _named_plans(wish: SubscriptionWish) -> list[tuple[str, str]]:
    """(pointer to what names it, plan) of every plan that the wish names."""
    return [("#", wish.plan), *((f"#/changes/{index}", item.plan) for index, item in enumerate(wish.changes))]


def _decide(connection: Connection, wish: SubscriptionWish, gathered: _Gathered) -> Subscription:
    starts = _starts(wish, gathered)
    wanted = _wanted(wish, gathered, starts)
    problems: list[FieldProblem] = []
    if wanted.end is not None and wanted.end <= wanted.start:
        problems.append(FieldProblem("#/end", "the end is not after the start"))
    problems += _time_problems(wanted, starts)
    rates = set(catalog_store.tax_rates(connection))
    meters = {meter.key: meter for meter in meter_store.load(connection)}
    named_terms: list[SubscriptionWish | ChangeWish] = [wish, *wish.changes]
    for (path, plan), start, terms in zip(_named_plans(wish), starts, named_terms, strict=True):
        named = "#/start" if path == "#" else f"{path}/at"
        problems += _terms_problems(gathered.versions[plan], path, named, start, terms, rates, meters)
    _raise(problems)
    _check_currency(gathered, _named_plans(wish))
    _check_settled(gathered, wanted)
    _check_overlap(connection, wanted)
    return wanted


def _time_problems(wanted: Subscription, starts: list[datetime]) -> list[FieldProblem]:
    """Changes outside the subscription, or several at one instant. The first of the `starts` is its own."""
    problems: list[FieldProblem] = []
    for index, at in enumerate(starts[1:]):
        pointer = f"#/changes/{index}/at"
        if at <= wanted.start:
            problems.append(FieldProblem(pointer, "the change is not after the start"))
        elif wanted.end is not None and at >= wanted.end:
            problems.append(FieldProblem(pointer, "the change is not before the end"))
        elif at in starts[1 : index + 1]:
            problems.append(FieldProblem(pointer, "another change has this instant"))
    return problems


def _terms_problems(
    versions: tuple[PlanVersion, ...], path: str, named: str, start: datetime, terms: SubscriptionWish | ChangeWish,
    rates: set[str], meters: Mapping[str, Meter],
) -> list[FieldProblem]:  # fmt: skip
    """What is wrong with being on the plan from the start by that version and those overrides."""
    problems: list[FieldProblem] = []
    first = versions[0].effective_at
    if start < first:
        problems.append(FieldProblem(named, f"the plan is in force from {instant_text(first)} only"))
    chosen = [item for item in versions if terms.version in (None, item.version)]
    if not chosen:
        detail = f"plan {terms.plan!r} has no published version {terms.version}"
        return [*problems, FieldProblem(f"{path}/version", detail)]
    found = override_problems(terms.overrides, chosen) + _unknown_rates(terms.overrides, rates)
    found += _unfit_models(terms.overrides, chosen, meters)
    return problems + [FieldProblem(path + item.pointer, item.detail) for item in found]


def _check_currency(gathered: _Gathered, named: list[tuple[str, str]]) -> None:
    tenant = gathered.tenant
    for path, plan in named:
        currency = gathered.versions[plan][0].terms.currency
        if currency != tenant.currency:
            raise CurrencyMismatch(
                f"Plan {plan!r} is in {currency} and tenant {tenant.key!r} in {tenant.currency}.",
                problems=(FieldProblem(f"{path}/plan", f"is in {currency}, the tenant in {tenant.currency}"),),
            )


def _starts(wish: SubscriptionWish, gathered: _Gathered) -> list[datetime]:
    """The subscription's start, and then the instant of each change, in the order in which they were sent."""
    before = gathered.before if gathered.settled_until else None
    starts = [_instant(wish.start, gathered.zone, before.start if before else None)]
    for change in wish.changes:
        assert change.at is not None, "only the request for one change may leave the instant open"
        wished = change.at
        kept = [
            item.at
            for item in (before.changes if before else ())
            if not isinstance(wished, datetime) and may_be_midnight_of(wished, item.at, gathered.zone)
        ]
        starts.append(_instant(wished, gathered.zone, kept[0] if kept else None))
    return starts


def _wanted(wish: SubscriptionWish, gathered: _Gathered, starts: list[datetime]) -> Subscription:
    before, zone, start = gathered.before, gathered.zone, starts[0]
    end = None
    if wish.end is not None:
        end = _instant(wish.end, zone, before.end if before and gathered.settled_until else None)
    keeps_start = before is not None and before.start == start
    wanted = Subscription(
        tenant_id=gathered.tenant.tenant_id, subscription_id=before.subscription_id if before else new_id(),
        key=wish.key, tenant=wish.tenant, plan=wish.plan, start=start, end=end,
        start_date=before.start_date if before and keeps_start else local_date(start, zone),
        pinned_version=wish.version, overrides=wish.overrides, trial_days=wish.trial_days,
        late_usage=wish.late_usage, references=wish.references,
    )  # fmt: skip
    return _with_changes(_with_trial(wanted, gathered), wish, starts[1:], gathered)


def _with_trial(wanted: Subscription, gathered: _Gathered) -> Subscription:
    """The subscription with the end of its trial: whole local days, that of the start among them."""
    days = wanted.trial_days
    if days is None:
        days = terms_at(gathered.versions[wanted.plan], wanted.start, wanted.pinned_version).trial_days
    if not days:
        return wanted
    before, end_date = gathered.before, wanted.start_date + timedelta(days=days)
    if before is not None and before.trial_end_date == end_date and before.start == wanted.start:
        return replace(wanted, trial_end=before.trial_end, trial_end_date=end_date)
    return replace(wanted, trial_end=start_of_day(end_date, gathered.zone), trial_end_date=end_date)


def _with_changes(
    wanted: Subscription, wish: SubscriptionWish, instants: list[datetime], gathered: _Gathered
) -> Subscription:
    """The subscription with its changes in order. Anniversaries are counted on where the new plan's schedule is the
    old one's, and anew from the change where it is another."""
    known = {change.at: change.local_date for change in (gathered.before.changes if gathered.before else ())}
    plan, anchor_date = wanted.plan, wanted.start_date
    changes: list[PlanChange] = []
    for at, item in sorted(zip(instants, wish.changes, strict=True), key=lambda pair: pair[0]):
        day = known.get(at, local_date(at, gathered.zone))
        if wanted.trial_end is not None and wanted.trial_end_date is not None and at >= wanted.trial_end:
            anchor_date = max(anchor_date, wanted.trial_end_date)
        old, new = (schedule_of(gathered.versions[key][0].terms) for key in (plan, item.plan))
        plan, anchor_date = item.plan, anchor_date if old == new else day
        changes.append(PlanChange(at, day, plan, anchor_date, item.version, item.overrides))
    return replace(wanted, changes=tuple(changes))


def _instant(wished: date | datetime, zone: ZoneInfo, settled: datetime | None) -> datetime:
    """The instant; what is billed stays at the midnight that the date was when the tenant's zone was another."""
    if isinstance(wished, datetime):
        return wished
    if settled is not None and may_be_midnight_of(wished, settled, zone):
        return settled
    return start_of_day(wished, zone)


def _unfit_models(
    overrides: Overrides, versions: Sequence[PlanVersion], meters: Mapping[str, Meter]
) -> list[FieldProblem]:
    """Overriding models that need what the meter of their charge does not measure."""
    problems: list[FieldProblem] = []
    for item in overrides:
        model = dict(item.fields).get("model")
        charges = [one for version in versions for one in version.terms.charges if one.key == item.charge]
        for name in sorted({one.meter for one in charges if one.meter is not None} & meters.keys()):
            pointer = f"/overrides/charges/{escaped(item.charge)}/model"
            found = meter_problems(model, meters[name]) if model is not None else ()
            problems += [FieldProblem(pointer + one.pointer, one.detail) for one in found]
    return problems


def _unknown_rates(overrides: Overrides, rates: set[str]) -> list[FieldProblem]:
    return [
        FieldProblem(f"/overrides/charges/{escaped(item.charge)}/tax", f"there is no tax rate {value!r}")
        for item in overrides
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
                "start are fixed. To be on another plan from an instant on, it has `changes`.",
                field=name, billed_until=instant_text(settled_until),
            )  # fmt: skip
    _check_phases(before, wanted, settled_until)
    if wanted.end is not None and wanted.end != before.end and wanted.end < settled_until:
        raise PeriodAlreadyIssued(
            f"The use until {instant_text(settled_until)} is billed: the subscription ends then or later.",
            billed_until=instant_text(settled_until),
        )


def _check_phases(before: Subscription, wanted: Subscription, settled_until: datetime) -> None:
    """Raises where a change of plan or a trial would be another in what is billed."""
    old, new = ([item for item in one.changes if item.at < settled_until] for one in (before, wanted))
    if old != new:
        raise PeriodAlreadyIssued(
            f"The use until {instant_text(settled_until)} is billed: a change of plan takes effect then or later.",
            billed_until=instant_text(settled_until),
        )
    if before.trial_end != wanted.trial_end:
        earlier = min(before.trial_end or before.start, wanted.trial_end or wanted.start)
        if earlier < settled_until or before.trial_end is None:
            raise PeriodAlreadyIssued(
                f"The use until {instant_text(settled_until)} is billed: the trial can no longer be another.",
                billed_until=instant_text(settled_until),
            )


def _check_overlap(connection: Connection, wanted: Subscription) -> None:
    others = subscription_store.of_tenants(connection, [wanted.tenant_id])
    plans = sorted({plan for item in [*others, wanted] for plan in item.plans})
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
        if _schedule(before) != _schedule(after):
            subscription_store.forget_open_instants(connection, key, keep=_paid_until(connection, before, after))
        if before.tenant_id != after.tenant_id:
            subscription_store.delete(connection, before)
    subscription_store.save(connection, after)


def _schedule(subscription: Subscription) -> tuple[object, ...]:
    """What billing instants are counted by."""
    changes = [(item.at, item.plan) for item in subscription.changes]
    of_phases = (subscription.start, subscription.end, subscription.trial_end, changes)
    return (subscription.tenant_id, subscription.plan, *of_phases)


def _paid_until(connection: Connection, before: Subscription, after: Subscription) -> set[datetime]:
    """The instants up to which something is paid in advance. They stay where they are, whatever the tenant's zone is by
    now; the end of a phase, old or new, is none."""
    key = (before.tenant_id, before.subscription_id)
    billed = invoice_store.billed_stretches(connection, *key, after=before.start)
    old = {phase.end for phase in before.phases}
    return {
        one.stretch.end
        for one in billed
        if one.stretch.end not in old and _goes_on(after.phase_at(one.stretch.start), one)
    }


def _goes_on(phase: Phase, billed: BilledStretch) -> bool:
    """True where what was billed belongs to the phase, and the phase does not end with it or before."""
    same = billed.trace.get("since", instant_text(phase.start)) == instant_text(phase.start)
    return same and (phase.end is None or billed.stretch.end < phase.end)


def _raise(problems: list[FieldProblem]) -> None:
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
