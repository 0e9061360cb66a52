"""Move a subscription to another plan from an instant on. What it has of changes besides stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.errors import FieldProblem, InvalidInput, NotFound, PreconditionFailed
from app.domain.periods import start_of_day
from app.domain.subscriptions import Subscription
from app.operations.catalog_change import Saved, check_precondition, write_catalog
from app.operations.put_subscription import save_subscription
from app.operations.show_catalog import show_subscription
from app.storage import subscription_store, tenant_store
from app.storage.database import Database
from app.wire.shown import etag_of
from app.wire.subscriptions import ChangeWish, SubscriptionWish

_ATTEMPTS = 5


def change_plan(
    database: Database, key: str, wish: ChangeWish, *, now: datetime, if_match: str | None = None
) -> Saved:  # fmt: skip
    """The subscription with the change; as it was where it is on the plan by these terms at that time already.

    Raises NotFound, PreconditionFailed, and what `put_subscription` raises, with pointers into the change.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return write_catalog(database, lambda connection: _change(connection, key, wish, now, if_match))
        except PreconditionFailed:
            if if_match is not None or attempt == _ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


def _change(connection: Connection, key: str, wish: ChangeWish, now: datetime, if_match: str | None) -> Saved:
    subscription = subscription_store.find(connection, key)
    shown = show_subscription(connection, key)
    if subscription is None or shown is None:
        raise NotFound(f"There is no subscription {key!r}.", key=key)
    check_precondition(if_match, shown)
    at = _instant(connection, subscription, wish, now)
    if _is_so(subscription, wish, at):
        return Saved(shown, shown)
    others = [
        ChangeWish(item.plan, item.at, item.pinned_version, item.overrides)
        for item in subscription.changes
        if item.at != at
    ]
    # Nothing is locked yet: where somebody changes the subscription in between, this begins anew.
    try:
        return save_subscription(
            connection, _wish(subscription, (*others, replace(wish, at=at))), if_match=etag_of(shown)
        )
    except InvalidInput as error:
        raise _about_change(error, f"#/changes/{len(others)}") from error


def _instant(connection: Connection, subscription: Subscription, wish: ChangeWish, now: datetime) -> datetime:
    if wish.at is None or isinstance(wish.at, datetime):
        return wish.at or now
    tenant = tenant_store.find_by_id(connection, subscription.tenant_id)
    assert tenant is not None
    return start_of_day(wish.at, ZoneInfo(tenant.time_zone))


def _is_so(subscription: Subscription, wish: ChangeWish, at: datetime) -> bool:
    if at < subscription.start:
        return False
    phase = subscription.phase_at(at)
    return (phase.plan, phase.pinned_version, phase.overrides) == (wish.plan, wish.version, wish.overrides)


def _wish(subscription: Subscription, changes: tuple[ChangeWish, ...]) -> SubscriptionWish:
    return SubscriptionWish(
        subscription.key, subscription.tenant, subscription.plan, subscription.start, subscription.end,
        subscription.pinned_version, subscription.overrides, changes, subscription.trial_days, subscription.late_usage,
        subscription.references,
    )  # fmt: skip


def _about_change(error: InvalidInput, place: str) -> InvalidInput:
    """The error with its pointers into the change alone; what is not about it comes of when it is."""
    problems = tuple(
        FieldProblem("#" + item.pointer.removeprefix(place) if item.pointer.startswith(place) else "#/at", item.detail)
        for item in error.problems
    )
    return type(error)(error.detail, problems=problems, **error.facts)
