"""Publish a plan's draft as its next version, in force from an instant on. Repeating it publishes nothing more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import Conflict, FieldProblem, InvalidInput, PeriodAlreadyIssued, SubscriptionsOverlap
from app.domain.events import instant_text
from app.domain.plans import Plan, PlanTerms, PlanVersion
from app.domain.subscriptions import Phase, Subscription, find_overlap, override_problems
from app.operations.catalog_change import Saved, check_precondition, found_or_missing, write_catalog
from app.operations.put_plan import check_references
from app.storage import catalog_store, invoice_store, subscription_store, tenant_store
from app.storage.catalog_snapshot import hold_version
from app.storage.database import Database
from app.wire.plans import plan_to_wire


def publish_plan(database: Database, key: str, effective_at: datetime, *, if_match: str | None = None) -> Saved:
    """Raises NotFound, InvalidInput, Conflict, PeriodAlreadyIssued, SubscriptionsOverlap or PreconditionFailed."""
    return write_catalog(database, lambda connection: publish(connection, key, effective_at, if_match=if_match))


def publish(connection: Connection, key: str, effective_at: datetime, *, if_match: str | None = None) -> Saved:
    # No meter is changed until this is committed.
    hold_version(connection)
    catalog_store.lock_plan(connection, key)
    plan = found_or_missing(catalog_store.find_plan(connection, key), "plan", key)
    shown = plan_to_wire(plan)
    check_precondition(if_match, shown)
    if plan.draft is None:
        assert plan.latest is not None
        if plan.latest.effective_at == effective_at:
            return Saved(shown, shown)
        raise Conflict(f"Plan {key!r} has no draft: there is nothing new to publish.", version=plan.latest.version)
    _check_draft(connection, plan.draft)
    version = _next_version(plan, effective_at)
    _check_subscriptions(connection, version)

    catalog_store.add_version(connection, version)
    catalog_store.save_plan(connection, key, name=plan.name, draft=None)
    return Saved(shown, plan_to_wire(Plan(key, plan.name, None, (*plan.versions, version))))


def _check_draft(connection: Connection, draft: PlanTerms) -> None:
    """Raises Conflict where a meter was changed since the draft was put, and measures no more what it needs."""
    try:
        check_references(connection, draft)
    except InvalidInput as error:
        raise Conflict(f"The draft does not fit its meters any more: {error.detail}.") from error


def _next_version(plan: Plan, effective_at: datetime) -> PlanVersion:
    latest = plan.latest
    if latest is not None and effective_at <= latest.effective_at:
        raise InvalidInput.at(
            "#/effective_at",
            f"Version {latest.version} is in force from {instant_text(latest.effective_at)}: the next begins later.",
        )
    assert plan.draft is not None
    return PlanVersion(plan.key, latest.version + 1 if latest else 1, effective_at, plan.draft)


def _check_subscriptions(connection: Connection, version: PlanVersion) -> None:
    """Raises where a subscription that follows the plan could not be billed by the version from its start on."""
    # With the rows locked no period of theirs is issued, and none of them changes, until this is committed.
    tenant_ids = tenant_store.lock_of_plan(connection, version.plan)
    subscribed = subscription_store.lock_of_plan(connection, version.plan)
    followers = [
        item
        for item in subscribed
        if any(phase.end is None or phase.end > version.effective_at for phase in _following(item, version.plan))
    ]
    ends = [_issued_until(connection, item, version.plan) for item in subscribed if item.changes]
    ends.append(catalog_store.issued_until(connection, version.plan))
    issued_until = max((end for end in ends if end is not None), default=None)
    if issued_until is not None and version.effective_at < issued_until:
        raise PeriodAlreadyIssued(
            f"Periods of this plan are issued until {instant_text(issued_until)}: a version begins then or later.",
            issued_until=instant_text(issued_until),
        )
    _check_overrides(followers, version)
    _check_overlap(connection, followers, tenant_ids, version)


def _following(subscription: Subscription, plan: str) -> list[Phase]:
    """The phases in which the subscription follows the plan's versions."""
    return [phase for phase in subscription.phases if phase.plan == plan and phase.pinned_version is None]


def _issued_until(connection: Connection, subscription: Subscription, plan: str) -> datetime | None:
    """The latest end of what is issued of the phases in which the subscription follows the plan."""
    billed = invoice_store.billed_stretches(
        connection, subscription.tenant_id, subscription.subscription_id, after=subscription.start
    )
    ends = [
        min(one.stretch.end, phase.end) if phase.end is not None else one.stretch.end
        for phase in _following(subscription, plan)
        for one in billed
        if phase.start <= one.stretch.start and (phase.end is None or one.stretch.start < phase.end)
    ]
    return max(ends, default=None)


def _check_overrides(followers: Sequence[Subscription], version: PlanVersion) -> None:
    charges = {charge.key for charge in version.terms.charges}
    for item in followers:
        for phase in _following(item, version.plan):
            kept = tuple(override for override in phase.overrides if override.charge in charges)
            for problem in override_problems(kept, [version]):
                raise Conflict(
                    f"The overrides of subscription {item.key!r} do not fit: {problem.pointer}: {problem.detail}",
                    subscription=item.key,
                )


def _check_overlap(
    connection: Connection, followers: Sequence[Subscription], tenant_ids: Sequence[UUID], version: PlanVersion
) -> None:
    others = subscription_store.of_tenants(connection, tenant_ids)
    versions = catalog_store.versions_by_plan(
        connection, sorted({plan for item in others for plan in item.plans} | {version.plan})
    )
    versions[version.plan] = (*versions[version.plan], version)
    overlap = find_overlap(followers, others, versions)
    if overlap is not None:
        detail = (
            f"The version prices meter {overlap.meter!r}, and so would subscriptions {overlap.subscription!r} and "
            f"{overlap.other!r} of one tenant at the same time, from {instant_text(overlap.start)}."
        )
        raise SubscriptionsOverlap(
            detail, problems=(FieldProblem("#/effective_at", detail),), meter=overlap.meter,
            subscription=overlap.subscription, other=overlap.other,
        )  # fmt: skip
