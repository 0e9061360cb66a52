"""Subscriptions: the shape of the HTTP contract <-> domain values.

    {"tenant": "acme", "plan": "standard", "start": "2026-01-01", "end": null, "version": null,
     "overrides": {"charges": {"energy": {"allowance": "20", "discount": {"percent": "10"}}}},
     "changes": [{"at": "2026-05-15", "plan": "pro", "version": null, "overrides": {}}], "trial": {"days": 14},
     "late_usage": {"policy": "bill", "horizon_days": 90}}

A date is the local midnight in the tenant's zone. `overrides` gives, by the key of a charge, the fields that this
subscription has otherwise than its plan: `model`, `allowance`, `minimum`, `maximum`, `limit`, `discount`, `tax`,
`description`; null takes an optional one away. Each is replaced whole, and the charge so made must obey the same rules
as a plan's, in every version of the plan that has it.

Each of the `changes` puts the subscription on another plan from its instant on, until the next one, with a version and
overrides of its own. `trial` takes the place of the plan's; {"days": 0} is none. Answers add `trial_end`, null where
there is no trial. With `late_usage` what comes late for a billed period is billed, up to so many days back (null:
without limit), or only reported. `purchase_order`, `buyer_reference`, `contract_reference`, `project_reference` and
`cost_centre` stand on its documents, in place of the tenant's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

from app.domain.events import instant_text
from app.domain.kept_terms import keep_overrides, overrides_of
from app.domain.parties import NO_REFERENCES, BuyerReferences
from app.domain.periods import local_date, start_of_day
from app.domain.subscriptions import BILL_LATE_USAGE, LatePolicy, LateUsage, Overrides, Subscription
from app.wire.parsing import Fields
from app.wire.parties import references_from_fields, references_to_wire
from app.wire.plans import charge_fields, trial_days

MAX_CHANGES = 1000
MAX_HORIZON_DAYS = 36_600
LATE_POLICIES: tuple[LatePolicy, ...] = get_args(LatePolicy)


@dataclass(frozen=True, slots=True)
class ChangeWish:
    """Another plan from an instant on; None is now."""

    plan: str
    at: date | datetime | None
    version: int | None
    overrides: Overrides


@dataclass(frozen=True, slots=True)
class SubscriptionWish:
    """A subscription as somebody wants it; a date becomes an instant once the tenant's zone is known."""

    key: str
    tenant: str
    plan: str
    start: date | datetime
    end: date | datetime | None
    version: int | None
    overrides: Overrides
    changes: tuple[ChangeWish, ...] = ()
    trial_days: int | None = None
    late_usage: LateUsage = BILL_LATE_USAGE
    references: BuyerReferences = NO_REFERENCES


def subscription_from_wire(key: str, body: Any, path: str = "#") -> SubscriptionWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    wish = SubscriptionWish(
        fields.own_key(key), fields.key("tenant"), fields.key("plan"), fields.day_or_instant("start"),
        fields.optional_day_or_instant("end"), _version(fields), _overrides(fields), _changes(fields),
        trial_days(fields), _late_usage(fields), references_from_fields(fields),
    )  # fmt: skip
    fields.ignore("trial_end")
    fields.finish()
    return wish


def _late_usage(fields: Fields) -> LateUsage:
    inner = fields.object("late_usage")
    if inner is None:
        return BILL_LATE_USAGE
    policy = inner.choice("policy", LATE_POLICIES, default="bill")
    return LateUsage(policy, inner.optional_integer("horizon_days", least=0, most=MAX_HORIZON_DAYS))


def change_from_wire(body: Any) -> ChangeWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    wish = _change(fields, fields.optional_day_or_instant("at"))
    fields.finish()
    return wish


def _changes(fields: Fields) -> tuple[ChangeWish, ...]:
    found = fields.objects("changes")
    if len(found) > MAX_CHANGES:
        fields.problem("changes", f"there are at most {MAX_CHANGES} changes")
    return tuple(_change(item, item.day_or_instant("at")) for item in found[:MAX_CHANGES])


def _change(fields: Fields, at: date | datetime | None) -> ChangeWish:
    return ChangeWish(fields.key("plan"), at, _version(fields), _overrides(fields))


def _version(fields: Fields) -> int | None:
    return fields.optional_integer("version", least=1, most=1_000_000)


def _overrides(fields: Fields) -> Overrides:
    outer = fields.object("overrides")
    charges = outer.object("charges") if outer is not None else None
    if charges is None:
        return ()
    return overrides_of([(key, charge_fields(charges.required_object(key))) for key in charges.names()])


def subscription_to_wire(subscription: Subscription, zone: ZoneInfo) -> dict[str, Any]:
    """`start` and `end` as dates where they are midnights in the tenant's zone, else as instants."""
    return {
        "key": subscription.key,
        "tenant": subscription.tenant,
        "plan": subscription.plan,
        "start": _moment(subscription.start, zone),
        "end": None if subscription.end is None else _moment(subscription.end, zone),
        "version": subscription.pinned_version,
        "overrides": keep_overrides(subscription.overrides),
        "changes": [
            {
                "at": _moment(item.at, zone), "plan": item.plan, "version": item.pinned_version,
                "overrides": keep_overrides(item.overrides),
            }
            for item in subscription.changes
        ],
        "trial": None if subscription.trial_days is None else {"days": subscription.trial_days},
        "late_usage": {
            "policy": subscription.late_usage.policy, "horizon_days": subscription.late_usage.horizon_days,
        },
        "trial_end": None if subscription.trial_end is None else _moment(subscription.trial_end, zone),
        **references_to_wire(subscription.references),
    }  # fmt: skip


def _moment(instant: datetime, zone: ZoneInfo) -> str:
    day = local_date(instant, zone)
    return day.isoformat() if start_of_day(day, zone) == instant else instant_text(instant)
