"""Plans and their charges: the shape of the HTTP contract <-> domain values.

    {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "proration": "day",
     "charges": [{"key": "energy", "meter": "energy", "allowance": "10",
                  "model": {"type": "per_unit", "unit_price": "0.30"}}]}

`interval` is "day", "week", "month", "quarter" or "year"; with "interval_count": 10 beside "day" a period has ten days.
"trial": {"days": 14} begins each subscription with 14 days for which nothing is charged.

Answers add what nobody can set: `version` (the latest published, null before the first), `versions` with the instant
from which each is in force, and `draft`: true where the terms shown are not published yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from app.domain.allowances import MAX_ROLLOVER_PERIODS, Rollover, SharedAllowance
from app.domain.events import instant_text
from app.domain.kept_terms import keep_terms
from app.domain.periods import Anchor, Interval, Unit
from app.domain.plan_totals import MAX_TERM_PERIODS, Commitment
from app.domain.plans import (
    MAX_INTERVAL_COUNT,
    MAX_TRIAL_DAYS,
    Discount,
    Plan,
    PlanCharge,
    PlanTerms,
    PlanVersion,
    terms_problems,
)
from app.domain.simulations import SimulatedPlan
from app.domain.tax import SUPPLIES
from app.wire.charge_models import model_from_wire
from app.wire.parsing import Fields
from app.wire.requests import utc

INTERVALS: tuple[Interval, ...] = get_args(Interval)
_ANCHORS: tuple[Anchor, ...] = get_args(Anchor)
_PRORATIONS: tuple[Unit, ...] = get_args(Unit)
_TIMINGS: tuple[Literal["arrears", "advance"], ...] = ("arrears", "advance")

MAX_CHARGES = 200
MAX_ALLOWANCES = 100


@dataclass(frozen=True, slots=True)
class PlanWish:
    """A plan as somebody wants it: its terms become the draft of the next version."""

    key: str
    name: str
    terms: PlanTerms


def plan_from_wire(key: str, body: Any, path: str = "#") -> PlanWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    fields.own_key(key)
    fields.ignore("version", "versions", "draft")
    wish = PlanWish(key, fields.text("name"), _terms(fields))
    fields.finish()
    return wish


def draft_from_wire(fields: Fields) -> SimulatedPlan:
    """A plan that need not be in any catalog: it may leave out its key and its name."""
    fields.ignore("version", "versions", "draft", "key")
    key = fields.optional_key("key") or ""
    return SimulatedPlan(key, fields.text("name", default=key), _terms(fields))


def plan_to_wire(plan: Plan, *, published_only: bool = False) -> dict[str, Any]:
    """The plan with the draft's terms where there is a draft, unless only what is published may be seen."""
    latest = plan.latest
    shows_draft = plan.draft is not None and not published_only
    terms = plan.shown_terms if shows_draft or latest is None else latest.terms
    return {
        "key": plan.key,
        "name": plan.name,
        **keep_terms(terms),
        "draft": shows_draft,
        "version": latest.version if latest else None,
        "versions": [
            {"version": item.version, "effective_at": instant_text(item.effective_at)} for item in plan.versions
        ],
    }


def version_to_wire(version: PlanVersion) -> dict[str, Any]:
    return {
        "plan": version.plan, "version": version.version, "effective_at": instant_text(version.effective_at),
        **keep_terms(version.terms),
    }  # fmt: skip


def publication_from_wire(body: Any, path: str = "#") -> datetime:
    """The instant from which the version is to be in force."""
    fields = Fields(body, path)
    effective_at = utc(fields.day_or_instant("effective_at"))
    fields.finish()
    return effective_at


# --- terms -----------------------------------------------------------------------------------------------------------


def _terms(fields: Fields) -> PlanTerms:
    charges = fields.objects("charges", required=True)
    if fields.has("charges") and not fields.raw("charges"):
        fields.problem("charges", "a plan has at least one charge")
    if len(charges) > MAX_CHARGES:
        fields.problem("charges", f"a plan has at most {MAX_CHARGES} charges")
    terms = PlanTerms(
        currency=fields.currency("currency"),
        interval=fields.choice("interval", INTERVALS),
        interval_count=fields.optional_integer("interval_count", least=1, most=max(MAX_INTERVAL_COUNT.values())) or 1,
        anchor=fields.choice("anchor", _ANCHORS, default="calendar"),
        charges=tuple(_charge(charge) for charge in charges[:MAX_CHARGES]),
        proration=fields.choice("proration", _PRORATIONS, default="day"),
        trial_days=trial_days(fields) or 0,
        allowances=tuple(_allowance(item) for item in fields.objects("allowances")[:MAX_ALLOWANCES]),
        minimum=fields.optional_decimal("minimum"),
        maximum=fields.optional_decimal("maximum"),
        commitment=_commitment(fields),
    )
    if len(fields.items("allowances")) > MAX_ALLOWANCES:
        fields.problem("allowances", f"a plan has at most {MAX_ALLOWANCES} shared allowances")
    if fields.faultless:
        fields.problems(terms_problems(terms))
    return terms


def trial_days(fields: Fields) -> int | None:
    """{"days": 14}; None where nothing is said."""
    trial = fields.object("trial")
    if trial is None:
        return None
    days = trial.optional_integer("days", least=0, most=MAX_TRIAL_DAYS)
    if isinstance(fields.raw("trial"), dict) and not trial.has("days"):
        trial.problem("days", "is missing")
    return days or 0


def _charge(fields: Fields) -> PlanCharge:
    key = fields.key("key")
    return PlanCharge(
        key=key, meter=fields.optional_key("meter"), timing=fields.choice("timing", _TIMINGS, default="arrears"),
        model=model_from_wire(fields.required_object("model")), allowance=fields.optional_decimal("allowance"),
        minimum=fields.optional_decimal("minimum"), maximum=fields.optional_decimal("maximum"),
        limit=fields.optional_decimal("limit"),
        discount=_discount(fields), tax=fields.optional_key("tax"), rollover=_rollover(fields),
        description=fields.text("description", default="", max_length=1000),
        supply=fields.optional_choice("supply", SUPPLIES), place=_place(fields),
    )  # fmt: skip


def _place(fields: Fields) -> str:
    """The code of a country; '' where none is named."""
    return "" if fields.raw("place") is None else fields.country("place")


def charge_fields(fields: Fields) -> dict[str, Any]:
    """The overridable fields of a charge that are there; null takes an optional one away."""
    found: dict[str, Any] = {}
    names = fields.names()
    for name in ("allowance", "minimum", "maximum", "limit"):
        if name in names:
            found[name] = fields.optional_decimal(name)
    if "tax" in names:
        found["tax"] = fields.optional_key("tax")
    if "description" in names:
        found["description"] = fields.text("description", default="", max_length=1000)
    if "supply" in names:
        found["supply"] = fields.optional_choice("supply", SUPPLIES)
    if "place" in names:
        found["place"] = _place(fields)
    if "rollover" in names:
        found["rollover"] = _rollover(fields)
    if "discount" in names:
        found["discount"] = _discount(fields)
    if "model" in names:
        found["model"] = model_from_wire(fields.required_object("model"))
    return found


def _discount(fields: Fields) -> Discount | None:
    inner = fields.object("discount")
    if inner is None:
        return None
    return Discount(inner.optional_decimal("percent"), inner.optional_decimal("amount"))


def _rollover(fields: Fields) -> Rollover | None:
    inner = fields.object("rollover")
    if inner is None:
        return None
    return Rollover(inner.integer("periods", least=1, most=MAX_ROLLOVER_PERIODS), inner.optional_decimal("cap"))


def _allowance(fields: Fields) -> SharedAllowance:
    charges = [str(item) for item in fields.items("charges", required=True) if isinstance(item, str)]
    if len(charges) != len(fields.items("charges")):
        fields.problem("charges", "names charges by their keys")
    return SharedAllowance(fields.key("key"), fields.decimal("quantity"), tuple(charges), _rollover(fields))


def _commitment(fields: Fields) -> Commitment | None:
    inner = fields.object("commitment")
    if inner is None:
        return None
    return Commitment(
        inner.decimal("amount"), inner.optional_integer("periods", least=2, most=MAX_TERM_PERIODS),
        inner.decimal("overage_factor", default=Decimal(1)),
    )  # fmt: skip
