"""One subscription through anything that can happen to it, against an independent account of what it owes.

Events come, come late, are cancelled and replaced; periods are closed, one by one or several, as drafts and for good;
the plan changes and changes back, a change is taken back, the subscription ends and goes on. The account beside it
knows dates, prices and the list of events, and nothing of lines, drafts, differences or credit notes. At every step
what is billed of use and what is listed as unbilled are what the closed stretches cost (I9); before a period is closed
its preview is what the document turns out to be; at the end everything billed is what everything costs, nothing is
listed, and the audit is clean.

A year of fixed amounts stays free of fractions of cents: 260.40 is 8.68 x 30, 8.40 x 31 and 9.30 x 28.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.operations.audit_books import audit_books
from tests.service import ENERGY, OPERATOR, Api, event, service

EXAMPLES = int(os.environ.get("QUOTEPART_LIVES", "8"))
SETTINGS = settings(
    max_examples=EXAMPLES, stateful_step_count=10, deadline=None, report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
PARIS = ZoneInfo("Europe/Paris")
CENT, ZERO = Decimal("0.01"), Decimal(0)
START, LAST = date(2026, 1, 5), date(2026, 8, 1)
LONG_AFTER = "2027-01-15T00:00:00+00:00"

PLANS: dict[str, list[Any]] = {
    "walk": [
        {"key": "access", "model": {"type": "flat", "amount": "260.40"}, "timing": "advance"},
        {"key": "energy", "meter": "energy", "minimum": "260.40", "model": {"type": "graduated", "tiers": [
            {"up_to": "50", "unit_price": "3.07"}, {"up_to": None, "unit_price": "2.033"}]}},
    ],
    "run": [
        {"key": "access", "model": {"type": "flat", "amount": "520.80"}, "timing": "advance"},
        {"key": "base", "model": {"type": "flat", "amount": "260.40"}},
        {"key": "energy", "meter": "energy", "allowance": "3", "model": {"type": "volume", "tiers": [
            {"up_to": "60", "unit_price": "2.5", "flat": "1.00"}, {"up_to": None, "unit_price": "1.501"}]}},
    ],
}  # fmt: skip


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=PARIS).astimezone(UTC)


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def month_after(day: date) -> date:
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def cost_of_use(plan: str, quantity: Decimal, days: int, days_of_month: int) -> Decimal:
    """By the price lists above, written down once more."""
    if plan == "walk":
        first = min(quantity, Decimal(50))
        amount = cents(first * Decimal("3.07")) + cents((quantity - first) * Decimal("2.033"))
        return max(amount, Decimal("260.40") * days / days_of_month)
    paid = max(quantity - 3, ZERO)
    return cents(paid * Decimal("2.5")) + 1 if paid <= 60 else cents(paid * Decimal("1.501"))


class Account:
    """What the subscription owes, from dates, prices and events alone."""

    def __init__(self, plan: str, trial_days: int) -> None:
        self.plan = plan
        self.changes: dict[date, str] = {}
        self.end: date | None = None
        self.trial_end = START + timedelta(days=trial_days)
        self.cuts: set[date] = {self.trial_end}
        self.events: dict[str, tuple[datetime, Decimal]] = {}
        self.closed = START  # the last instant that is closed

    def boundaries(self, until: date) -> list[date]:
        """The instants at which something is billed, as local dates."""
        end = min(until, self.end) if self.end else until
        found = {START, *self.cuts, *self.changes} | ({self.end} if self.end else set())
        month = date(START.year, START.month, 1)
        while month <= end:
            month = month_after(month)
            found.add(month)
        return sorted(day for day in found if START <= day <= end)

    def stretches(self, until: date) -> list[tuple[date, date, str]]:
        days = self.boundaries(until)
        return [(first, last, self.plan_at(first)) for first, last in pairwise(days)]

    def plan_at(self, day: date) -> str:
        return ([self.plan] + [plan for at, plan in sorted(self.changes.items()) if at <= day])[-1]

    def owed(self, until: date) -> dict[tuple[str, str], Decimal]:
        """By (charge, month)."""
        sums: dict[tuple[str, str], Decimal] = {}
        for first, last, plan in self.stretches(until):
            if first < self.trial_end:
                continue
            days, month = (last - first).days, f"{first:%Y-%m}"
            of_month = (month_after(first) - first.replace(day=1)).days
            start, end = midnight(first), midnight(last)
            used = sum((kwh for at, kwh in self.events.values() if start <= at < end), ZERO)
            amounts = {"energy": cost_of_use(plan, used, days, of_month)}
            for charge in PLANS[plan]:
                if charge["model"]["type"] == "flat":
                    amounts[charge["key"]] = Decimal(charge["model"]["amount"]) * days / of_month
            for key, amount in amounts.items():
                sums[key, month] = sums.get((key, month), ZERO) + amount
        return {key: amount for key, amount in sums.items() if amount}


_numbers = iter(range(10**6))

moments = st.builds(
    lambda days, seconds: midnight(START + timedelta(days=days)) + timedelta(seconds=seconds),
    st.integers(0, (LAST - START).days - 1), st.integers(0, 23 * 3600),
)  # fmt: skip
quantities = st.decimals("0", "40", places=3)
plans = st.sampled_from(sorted(PLANS))


class Life(RuleBasedStateMachine):
    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api

    @initialize(plan=plans, trial_days=st.sampled_from([0, 0, 10, 40]), policy=st.sampled_from(["bill", "report_only"]))
    def begin(self, plan: str, trial_days: int, policy: str) -> None:
        self.key = f"t{next(_numbers)}"
        tenant = {"name": self.key, "currency": "EUR", "time_zone": "Europe/Paris", "language": "en"}
        self.api.put(f"/v1/tenants/{self.key}", tenant)
        self.account, self.policy, self.trial_days, self.sent = Account(plan, trial_days), policy, trial_days, 0
        self.put()

    def put(self) -> None:
        account = self.account
        self.api.put(
            f"/v1/subscriptions/{self.key}",
            {
                "tenant": self.key, "plan": account.plan, "start": START.isoformat(),
                "end": account.end and account.end.isoformat(), "trial": {"days": self.trial_days},
                "late_usage": {"policy": self.policy},
                "changes": [{"at": at.isoformat(), "plan": plan} for at, plan in account.changes.items()],
            },
        )  # fmt: skip

    # --- use ---

    def post(self, at: datetime, kwh: Decimal) -> Any:
        self.sent += 1
        made = event(str(self.sent), subject=self.key, source=f"/{self.key}", time=at.isoformat(),
                     data={"kwh": format(kwh, "f")})  # fmt: skip
        self.account.events[made["id"]] = (at, kwh)
        return made

    @rule(made=st.lists(st.tuples(moments, quantities), min_size=1, max_size=4))
    def use(self, made: list[tuple[datetime, Decimal]]) -> None:
        events = [self.post(at, kwh) for at, kwh in made]
        assert self.api.post("/v1/events", events)["accepted"] == len(events)

    @precondition(lambda self: bool(self.account.events))
    @rule(number=st.integers(0, 10**6), instead=st.none() | st.tuples(moments, quantities))
    def cancel(self, number: int, instead: tuple[datetime, Decimal] | None) -> None:
        ids = sorted(self.account.events)
        id = ids[number % len(ids)]
        wish = {"tenant": self.key, "source": f"/{self.key}", "id": id, "reason": "fault"}
        del self.account.events[id]
        self.api.post(
            "/v1/events/cancellations", wish | ({} if instead is None else {"replacement": self.post(*instead)})
        )

    # --- the plan ---

    @rule(days=st.integers(0, 60), plan=plans)
    def change(self, days: int, plan: str) -> None:
        account = self.account
        at = max(account.closed, START + timedelta(days=1)) + timedelta(days=days)
        if at >= (account.end or LAST) or account.plan_at(at) == plan:
            return
        answer = self.api.call("POST", f"/v1/subscriptions/{self.key}/changes", {"plan": plan, "at": at.isoformat()})
        assert answer.status_code == 201, answer.text
        account.changes[at] = plan

    @rule()
    def take_back_changes(self) -> None:
        account = self.account
        account.changes = {at: plan for at, plan in account.changes.items() if at <= account.closed}
        self.put()

    @rule(days=st.integers(0, 45))
    def end(self, days: int) -> None:
        account = self.account
        first = max([account.closed, START + timedelta(days=1), *(at + timedelta(days=1) for at in account.changes)])
        self.keep_end_that_is_closed()
        account.end = min(first + timedelta(days=days), LAST)
        self.put()

    @precondition(lambda self: self.account.end is not None)
    @rule()
    def go_on(self) -> None:
        self.keep_end_that_is_closed()
        self.account.end = None
        self.put()

    def keep_end_that_is_closed(self) -> None:
        """What was billed to its end stays a stretch by itself."""
        if self.account.end is not None and self.account.closed == self.account.end:
            self.account.cuts.add(self.account.end)

    # --- billing ---

    def bill(self, through: date, *, issue: bool = True) -> None:
        self.api.clock.set(LONG_AFTER)
        run = self.api.bill(midnight(through).isoformat(), tenants=[self.key], issue=issue)
        assert run["failures"] == []

    @rule()
    def close_next_as_previewed(self) -> None:
        account = self.account
        following = [day for day in account.boundaries(LAST) if day > account.closed]
        if not following:
            return
        self.bill(account.closed)
        self.api.clock.set((midnight(following[0]) - timedelta(hours=1)).isoformat())
        preview = self.api.call("GET", f"/v1/tenants/{self.key}/preview")
        known = {one["id"] for one in self.documents()}
        self.bill(following[0])
        account.closed = following[0]
        if preview.status_code == 200:
            new = [one for one in self.documents() if one["id"] not in known]
            assert shown(preview.json()) in [shown(one) for one in new]

    @rule(days=st.integers(0, 70), issue=st.booleans())
    def close(self, days: int, issue: bool) -> None:
        account = self.account
        through = min(account.closed + timedelta(days=days), LAST)
        self.bill(through, issue=issue)
        if issue:
            account.closed = account.boundaries(through)[-1]

    # --- what holds ---

    def documents(self) -> list[Any]:
        found = self.api.get("/v1/invoices", buyer=self.key, status="issued", limit=1000)["data"]
        for one in found:
            assert Decimal(one["net"]) >= 0 and Decimal(one["total"]) >= 0
        return sorted(found, key=lambda one: str(one["number"]))

    def billed(self) -> dict[tuple[str, str], Decimal]:
        sums: dict[tuple[str, str], Decimal] = {}
        for document in self.documents():
            sign = -1 if document["type"] == "credit_note" else 1
            for line in document["lines"]:
                key = (line["charge"], month_of(line["period"]["start"]))
                sums[key] = sums.get(key, ZERO) + sign * Decimal(line["amount"])
        return {key: amount for key, amount in sums.items() if amount}

    @invariant()
    def billed_and_unbilled_use_is_what_the_closed_stretches_cost(self) -> None:
        sums = {month: amount for (charge, month), amount in self.billed().items() if charge == "energy"}
        for item in self.api.get(f"/v1/subscriptions/{self.key}/late-usage", limit=1000)["data"]:
            assert Decimal(item["amount_billed"]) + Decimal(item["difference"]) == Decimal(item["amount"])
            if item["charge"] == "energy":
                month = month_of(item["period"]["start"])
                sums[month] = sums.get(month, ZERO) + Decimal(item["difference"])
        owed = {month: amount for (charge, month), amount in self.account.owed(self.account.closed).items()
                if charge == "energy"}  # fmt: skip
        assert {month: amount for month, amount in sums.items() if amount} == owed

    def teardown(self) -> None:
        if not hasattr(self, "account"):
            return
        account = self.account
        if account.end is None:
            account.end = LAST
        self.policy = "bill"
        self.put()
        self.bill(LAST)
        self.bill(LAST)
        assert self.billed() == account.owed(LAST)
        count = len(self.documents())
        self.bill(LAST)
        assert len(self.documents()) == count
        assert self.api.get(f"/v1/subscriptions/{self.key}/late-usage")["data"] == []
        audit = audit_books(self.api.client.app.state.database, now=self.api.clock())  # type: ignore[attr-defined]
        assert audit.differences == []


def month_of(instant: str) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(PARIS):%Y-%m}"


def shown(document: Any) -> Any:
    return [document[name] for name in ("type", "lines", "net", "tax", "total", "period")]


@pytest.fixture
def shop(database_url: str) -> Iterator[Api]:
    """A service with an operator, a meter and two plans; every life has its own tenant."""
    with service(database_url, LONG_AFTER) as api:
        api.put("/v1/tenants/garage", OPERATOR)
        api.put("/v1/meters/energy", ENERGY | {"dimensions": {}})
        for key, charges in PLANS.items():
            api.put(f"/v1/plans/{key}", {"name": key, "currency": "EUR", "interval": "month", "charges": charges})
            api.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        yield api


def test_whatever_happens_to_a_subscription_it_is_billed_what_it_owes(shop: Api) -> None:
    run_state_machine_as_test(lambda: Life(shop), settings=SETTINGS)  # type: ignore[arg-type]
