"""A tenant that collects its invoices, and a twin that does not: whatever happens to both, each subscription is billed
the same lines, to the cent and to the component; only the documents differ, and the VAT is that of the documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.operations.audit_books import audit_books
from tests.service import ACME, Api, event, service, set_up

MONTHS = ("2026-10", "2026-11", "2026-12", "2027-01")
TWINS = ("together", "apart")
SUBSCRIPTIONS = ("power", "doors", "rent")
TIERS = [{"up_to": "10", "unit_price": "0.333", "flat": "1.11"}, {"up_to": None, "unit_price": "0.277"}]
PLANS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "power": ([{"key": "energy", "meter": "energy", "model": {"type": "graduated", "tiers": TIERS}, "tax": "standard"}],
              {"minimum": "3.33"}),
    "doors": ([{"key": "sessions", "meter": "sessions", "allowance": "1", "rollover": {"periods": 1}, "tax": "reduced",
                "model": {"type": "per_unit", "unit_price": "0.49"}}], {}),
    "rent": ([{"key": "rent", "model": {"type": "flat", "amount": "50.01"}, "timing": "advance", "tax": "standard"},
              {"key": "energy-fee", "model": {"type": "flat", "amount": "1.07"}, "tax": "reduced"}], {}),
}  # fmt: skip

Step = tuple[Any, ...]
months_back = st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("use"), months_back, st.integers(1, 27), st.integers(1, 4000).map(lambda n: f"{n / 100:.2f}")),
    st.tuples(st.just("use"), months_back, st.integers(1, 27), st.integers(1, 4000).map(lambda n: f"{n / 100:.2f}")),
    st.tuples(st.just("cancel"), st.integers(0, 30)),
    st.tuples(st.just("credit"), months_back, st.sampled_from(SUBSCRIPTIONS), st.integers(1, 100), st.booleans()),
    st.tuples(st.just("reissue"), months_back),
)  # fmt: skip
lives = st.lists(st.lists(steps, max_size=6), min_size=len(MONTHS), max_size=len(MONTHS))


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        set_up(running)
        for key, rate in (("standard", "20"), ("reduced", "5.5")):
            running.put(
                f"/v1/tax-rates/{key}", {"category": "S", "rate": rate, "country": "FR", "start": "2014-01-01"}
            )  # fmt: skip
        for key, (charges, more) in PLANS.items():
            body = {"name": key, "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
            running.put(f"/v1/plans/{key}", body | more)
            running.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})
        yield running


class Life:
    """What happens to both twins, month by month."""

    def __init__(self, api: Api, number: int) -> None:
        self.api = api
        self.tenants = [f"{name}-{number}" for name in TWINS]
        self.sent: list[str] = []
        for tenant, collection in zip(self.tenants, ("tenant", "subscription"), strict=True):
            api.put(f"/v1/tenants/{tenant}", ACME | {"subjects": [], "invoice_collection": collection})
            for plan in SUBSCRIPTIONS:
                body = {"tenant": tenant, "plan": plan, "start": "2026-10-01"}
                api.put(f"/v1/subscriptions/{tenant}-{plan}", body)

    def run(self, life: list[list[Step]]) -> None:
        for number, happens in enumerate(life):
            self.now = number
            for step in happens:
                getattr(self, step[0])(*step[1:])
            following = (*MONTHS, "2027-02")[number + 1]
            self.api.clock.set(f"{following}-02T12:00:00+00:00")
            run = self.api.bill(f"{following}-01T00:00:00Z", tenants=self.tenants)
            assert run["failures"] == []

    def use(self, back: int, day: int, kwh: str) -> None:
        id = f"{self.tenants[0]}-{len(self.sent)}"
        self.sent.append(id)
        time = f"{MONTHS[max(self.now - back, 0)]}-{day:02}T10:00:00Z"
        self.api.clock.set(f"{MONTHS[self.now]}-28T12:00:00+00:00")
        for tenant in self.tenants:
            self.api.post("/v1/events", [event(id, time=time, subject=tenant, data={"kwh": kwh, "station": "1"})])

    def cancel(self, index: int) -> None:
        if self.sent:
            id = self.sent.pop(index % len(self.sent))
            for tenant in self.tenants:
                wish = {"tenant": tenant, "source": "/chargers/12", "id": id, "reason": "fault"}
                self.api.post("/v1/events/cancellations", wish)

    def credit(self, back: int, plan: str, percent: int, reopens: bool) -> None:
        """Some of the first line of a subscription, as far as there is something left of it."""
        for tenant in self.tenants:
            for invoice in self.invoices(tenant, back):
                for line in [one for one in invoice["lines"] if one["subscription"] == f"{tenant}-{plan}"][:1]:
                    amount = (Decimal(line["amount"]) * percent / 100).quantize(Decimal("0.01"))
                    wish = {"line": line["id"], "amount": str(amount)}
                    self.api.call(
                        "POST", f"/v1/invoices/{invoice['id']}/credit-notes",
                        {"reason": "agreed", "reopens_usage": reopens, "lines": [wish]},
                    )  # fmt: skip

    def reissue(self, back: int) -> None:
        """All documents about a month; none where there is nothing left to be credited of one."""
        if any(one["credited"] == one["total"] for one in self.invoices(self.tenants[1], back)):
            return
        for tenant in self.tenants:
            for invoice in self.invoices(tenant, back):
                wish = {"reason": "again", "reopens_usage": True, "reissue": True}
                self.api.post(f"/v1/invoices/{invoice['id']}/credit-notes", wish)

    def invoices(self, tenant: str, back: int) -> list[Any]:
        """Those about a month that were made by a run."""
        start = f"{MONTHS[max(self.now - 1 - back, 0)]}-01"
        return [
            one
            for one in self.api.invoices(buyer=tenant, type="invoice", limit=500, period_start=start)
            if one["references"] == []
        ]


def billed(api: Api, tenant: str) -> dict[str, Counter[Any]]:
    """Of each plan the lines of all documents that come to some amount, those of credit notes as negative ones."""
    found: dict[str, Counter[Any]] = {plan: Counter() for plan in SUBSCRIPTIONS}
    for document in api.invoices(buyer=tenant, limit=500):
        sign = -1 if document["type"] == "credit_note" else 1
        for line in (one for one in document["lines"] if Decimal(one["amount"])):
            parts = tuple((one["quantity"], one["unit_price"], one["amount"]) for one in line["components"])
            found[line["subscription"].removeprefix(f"{tenant}-")][
                line["charge"], line["kind"], line["period"]["start"], line["period"]["end"],
                str(sign * Decimal(line["quantity"])), sign * Decimal(line["amount"]), line["tax"]["rate"], parts,
            ] += 1  # fmt: skip
    return found


def check_tax(documents: list[Any]) -> None:
    """Of an invoice rate x net of each group, rounded; of the k-th credit note rate x all credited, rounded, less what
    was credited of it before."""

    def rounded(base: Decimal, rate: str) -> Decimal:
        return (base * Decimal(rate) / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)

    credited: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
    for document in documents:
        nets: Counter[str] = Counter()
        for line in document["lines"]:
            nets[line["tax"]["rate"]] += Decimal(line["amount"])  # type: ignore[assignment]
        assert {one["rate"]: Decimal(one["base"]) for one in document["tax"]} == dict(nets)
        original = document["references"][0]["id"] if document["type"] == "credit_note" else document["id"]
        for one in document["tax"]:
            base, tax = credited.get((original, one["rate"]), (Decimal(0), Decimal(0)))
            if document["type"] == "invoice":
                base = tax = Decimal(0)
            base += Decimal(one["base"])
            assert Decimal(one["amount"]) == rounded(base, one["rate"]) - tax
            if document["type"] == "credit_note":
                credited[original, one["rate"]] = (base, tax + Decimal(one["amount"]))


def test_each_subscription_is_billed_as_if_it_had_documents_of_its_own(api: Api) -> None:
    count = 0

    @settings(
        max_examples=8,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
        phases=(Phase.explicit, Phase.reuse, Phase.generate),
    )
    @given(lives)
    def hold(life: list[list[Step]]) -> None:
        nonlocal count
        count += 1
        both = Life(api, count)
        both.run(life)

        together, apart = (billed(api, tenant) for tenant in both.tenants)
        assert together == apart
        documents = api.invoices(buyer=both.tenants[0], limit=500)
        check_tax(sorted(documents, key=lambda one: one["number"]))
        first = [one for one in documents if one["type"] == "invoice" and not one["references"]]
        assert len(first) == len(MONTHS) + 1, "one at the start and one at each month's end"

    hold()
    audit = audit_books(api.client.app.state.database, now=api.clock())  # type: ignore[attr-defined]
    assert audit.differences == []
