"""What a producer is told before it serves: what is used, free and left, and whether the tenant has access."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.periods import Period
from app.operations.read_usage import find_meter, gather, pieces, quantities
from app.storage import tenant_store
from app.storage.database import Database
from tests.service import ACME, ENERGY, PER_UNIT, Api, event, set_up

INCLUDED = PER_UNIT | {"allowance": "100", "limit": "500"}


def use(api: Api, kwh: str, *, day: str = "2026-11-10", subject: str = "acme", hour: int = 10) -> None:
    made = event(f"{day}-{hour}-{kwh}-{subject}", subject=subject, time=f"{day}T{hour:02}:00:00Z")
    assert api.post("/v1/events", made | {"data": {"kwh": kwh, "station": "12"}})["accepted"] == 1


def balance(api: Api, tenant: str = "acme", meter: str = "energy") -> Any:
    return api.get(f"/v1/tenants/{tenant}/balance", meter=meter)


def test_what_is_used_what_is_free_and_what_the_limit_leaves(api: Api) -> None:
    """130 kWh in November in Paris: of 100 free ones none is left, of 500 allowed 370. October's 40 count no more."""
    set_up(api, [INCLUDED])
    use(api, "40", day="2026-10-31", hour=22)
    use(api, "30", day="2026-10-31", hour=23)
    use(api, "100")
    found = balance(api)
    stretch = {"start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"}
    assert found == {
        "tenant": "acme", "meter": "energy", "unit": "kWh", "has_access": True, "reason": None, "used": "130",
        "allowance": "100", "allowance_left": "0", "limit": "500", "limit_left": "370", "period": stretch,
        "resets_at": "2026-11-30T23:00:00Z", "prepaid_left": {"units": "0", "amount": "0.00", "currency": "EUR"},
        "charges": [{"subscription": "acme-1", "charge": "energy", "stretch": stretch, "used": "130",
                     "allowance": "100", "allowance_left": "0", "limit": "500", "limit_left": "370"}],
    }  # fmt: skip


def test_access_ends_at_the_limit_and_comes_back_with_the_next_period(api: Api) -> None:
    """499 of 500 may go on, 500 may not, and neither may 620: what was served all the same is counted."""
    set_up(api, [INCLUDED])
    for kwh, has_access, left in (("499", True, "1"), ("1", False, "0"), ("120", False, "0")):
        use(api, kwh)
        found = balance(api)
        assert (found["has_access"], found["limit_left"]) == (has_access, left)
    assert (found["used"], found["reason"]) == ("620", "limit_reached")
    api.clock.set("2026-11-30T23:00:00+00:00")
    found = balance(api)
    assert (found["used"], found["has_access"], found["allowance_left"]) == ("0", True, "100")


def test_what_was_carried_over_is_free_too(api: Api) -> None:
    """100 free a month, unused ones for one month more. October uses 30 and leaves 70, so November has 170: 20 are left
    after 150. A month later none of the 70 is there any more, and of November's own 20 are."""
    set_up(api, [PER_UNIT | {"allowance": "100", "rollover": {"periods": 1}}], start="2026-10-01")
    use(api, "30", day="2026-10-10")
    use(api, "150")
    found = balance(api)
    assert (found["allowance"], found["allowance_left"]) == ("170", "20")
    api.bill("2026-11-01T00:00:00Z")
    assert balance(api) == found, "whether October is billed already or not"
    api.clock.set("2026-12-05T12:00:00+00:00")
    assert (balance(api)["allowance"], balance(api)["allowance_left"]) == ("120", "120")


def test_what_charges_share_is_left_for_each_of_them(api: Api) -> None:
    """60 units for energy and for sessions together, beside 10 kWh of its own: after 25.5 kWh in two sessions 15.5 of
    the 60 went to energy and 2 to the sessions, so that 42.5 are left for either. Of 100 prepaid kWh none is needed
    until those are gone: 80 kWh later, 105.5 - 10 - 58 are taken."""
    sessions = {"key": "sessions", "meter": "sessions", "model": PER_UNIT["model"]}
    shared = [{"key": "pot", "quantity": "60", "charges": ["sessions", "energy"]}]
    set_up(api, [PER_UNIT | {"allowance": "10"}, sessions], allowances=shared)
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "units", "meter": "energy", "amount": "100"})
    use(api, "20")
    use(api, "5.5")
    energy, number = balance(api), balance(api, meter="sessions")
    assert (energy["allowance"], energy["allowance_left"], energy["prepaid_left"]["units"]) == ("70", "42.5", "100")
    assert (number["used"], number["allowance"], number["allowance_left"]) == ("2", "60", "42.5")
    use(api, "80")
    energy = balance(api)
    assert (energy["allowance_left"], energy["prepaid_left"]["units"]) == ("0", "61.5")


def test_a_charge_without_a_limit_never_refuses(api: Api) -> None:
    set_up(api, [PER_UNIT])
    use(api, "1000000")
    found = balance(api)
    assert (found["has_access"], found["limit"], found["limit_left"]) == (True, None, None)
    assert (found["allowance"], found["allowance_left"]) == ("0", "0")


def test_an_override_gives_one_subscription_its_own_limit(api: Api) -> None:
    """400 kWh are under the plan's limit of 500 and over the subscription's of 300; null takes the limit away."""
    set_up(api, [INCLUDED])
    use(api, "400")
    for own, has_access in (({"limit": "300"}, False), ({"limit": None}, True), ({"limit": "400.5"}, True)):
        body = {"tenant": "acme", "plan": "standard", "start": "2026-09-01", "overrides": {"charges": {"energy": own}}}
        shown = api.put("/v1/subscriptions/acme-1", body)
        assert shown["overrides"] == {"charges": {"energy": own}}
        assert balance(api)["has_access"] is has_access


def test_of_several_charges_the_narrowest_counts(api: Api) -> None:
    """100 and 250 kWh are included, 500 and 400 allowed. At 200 nothing is wholly free, and 200 more are allowed."""
    second = PER_UNIT | {"key": "grid", "allowance": "250", "limit": "400"}
    set_up(api, [INCLUDED, second, {"key": "access", "model": {"type": "flat", "amount": "5"}}])
    use(api, "200")
    found = balance(api)
    assert (found["allowance"], found["allowance_left"], found["limit"], found["limit_left"]) == (
        "100", "0", "400", "200",
    )  # fmt: skip
    assert [(item["charge"], item["allowance_left"], item["limit_left"]) for item in found["charges"]] == [
        ("energy", "0", "300"),
        ("grid", "50", "200"),
    ]
    assert balance(api, meter="sessions")["charges"] == []


def test_without_a_charge_on_the_meter_there_is_no_access(api: Api) -> None:
    """Use is metered all the same: that of the calendar month, in the tenant's zone."""
    set_up(api)
    use(api, "7", day="2026-10-31", hour=22)
    use(api, "3")
    found = balance(api)
    assert (found["has_access"], found["reason"], found["used"]) == (False, "not_subscribed", "3")
    assert found["period"] == {"start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"}


def test_a_subscription_that_has_ended_or_not_begun_gives_no_access(api: Api) -> None:
    set_up(api, [INCLUDED], start="2026-11-24")
    assert balance(api)["reason"] == "not_subscribed"
    api.clock.set("2026-11-23T23:00:00+00:00")
    assert balance(api)["period"]["start"] == "2026-11-23T23:00:00Z"
    api.put("/v1/subscriptions/acme-1", {"tenant": "acme", "plan": "standard", "start": "2026-11-24",
                                         "end": "2026-11-25"})  # fmt: skip
    assert balance(api)["has_access"] is True
    api.clock.set("2026-11-24T23:00:00+00:00")
    assert balance(api)["has_access"] is False


def test_of_two_subscriptions_in_one_month_the_running_one_counts(api: Api) -> None:
    """Until the 15th acme was on one subscription, and is on another since: the 90 kWh of the first count there."""
    set_up(api, [INCLUDED])
    body = {"tenant": "acme", "plan": "standard", "start": "2026-09-01"}
    api.put("/v1/subscriptions/acme-1", body | {"end": "2026-11-15"})
    api.put("/v1/subscriptions/acme-2", body | {"start": "2026-11-15"})
    use(api, "90")
    use(api, "20", day="2026-11-16")
    found = balance(api)
    assert (found["used"], found["allowance_left"]) == ("20", "80")
    assert [item["subscription"] for item in found["charges"]] == ["acme-2"]


def test_the_allowance_is_that_of_the_terms_in_force(api: Api) -> None:
    """From 20 November the plan includes 30 kWh in place of 100: of the 60 before, billed by the old terms, nothing
    counts against them; the limit holds for the whole period."""
    set_up(api, [INCLUDED])
    charges = [INCLUDED | {"allowance": "30", "limit": "80"}]
    body = {"name": "Standard", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": charges}
    api.put("/v1/plans/standard", body)
    api.post("/v1/plans/standard/publish", {"effective_at": "2026-11-20T10:17:00Z"})
    use(api, "60")
    use(api, "15", day="2026-11-21")
    found = balance(api)
    assert (found["used"], found["allowance_left"], found["limit_left"]) == ("75", "15", "5")
    assert found["charges"][0]["stretch"] == {"start": "2026-11-20T10:17:00Z", "end": "2026-11-30T23:00:00Z"}


@pytest.mark.parametrize(
    ("aggregation", "used"),
    [("count", "3"), ("sum", "12"), ("min", "1"), ("max", "7"), ("avg", "4"), ("last", "4"), ("unique", "3")],
)
def test_every_aggregation_has_a_balance(api: Api, aggregation: str, used: str) -> None:
    """7, 1 and 4 kWh, in that order."""
    set_up(api, [PER_UNIT | {"limit": "100"}])
    api.put("/v1/meters/energy", ENERGY | {"aggregation": aggregation})
    for day, kwh in (("2026-11-03", "7"), ("2026-11-04", "1"), ("2026-11-05", "4")):
        use(api, kwh, day=day)
    assert balance(api)["used"] == used


def test_what_is_left_of_prepaid_units_and_money(api: Api) -> None:
    """60 kWh are granted and 25 of them used beyond the 100 free ones; 80.00 and 5.00 are granted, the 5.00 expired."""
    set_up(api, [INCLUDED])
    grant = {"tenant": "acme", "kind": "prepaid"}
    api.post("/v1/credit-grants", grant | {"kind": "units", "amount": "60", "meter": "energy"})
    api.post("/v1/credit-grants", grant | {"amount": "80.00"})
    api.post("/v1/credit-grants", grant | {"amount": "5.00", "expires_at": "2026-11-24"})
    assert balance(api)["prepaid_left"] == {"units": "60", "amount": "85.00", "currency": "EUR"}
    api.clock.set("2026-11-24T12:00:00+00:00")
    use(api, "125")
    assert balance(api)["prepaid_left"] == {"units": "35", "amount": "80.00", "currency": "EUR"}
    assert balance(api, meter="sessions")["prepaid_left"]["units"] == "0"
    use(api, "300")
    assert balance(api)["prepaid_left"]["units"] == "0"


def test_a_cancelled_event_gives_its_units_back(api: Api) -> None:
    set_up(api, [INCLUDED])
    use(api, "500")
    assert balance(api)["has_access"] is False
    id = api.get("/v1/events")["data"][0]["id"]
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id})
    assert (balance(api)["has_access"], balance(api)["used"]) == (True, "0")


def test_the_quantity_is_converted_and_rounded_as_it_is_billed(api: Api) -> None:
    """7.5 kWh are billed as 8, and 7500 of them as 7.5 MWh, which are 8 as well: the balance says so."""
    set_up(api, [PER_UNIT | {"limit": "8"}])
    rounded = ENERGY | {"rounding": {"mode": "up", "scale": 0}}
    api.put("/v1/meters/energy", rounded)
    use(api, "7.5")
    found = balance(api)
    assert (found["used"], found["unit"], found["has_access"]) == ("8", "kWh", False)
    api.put("/v1/meters/energy", rounded | {"convert": {"divide_by": "1000", "unit": "MWh"}})
    use(api, "7492.5")
    found = balance(api)
    assert (found["used"], found["unit"], found["has_access"]) == ("8", "MWh", False)


@pytest.mark.parametrize(
    ("path", "status"),
    [("acme/balance", 422), ("acme/balance?meter=nothing", 404), ("nobody/balance?meter=energy", 404),
     ("acme/balance?meter=energy&tenant=x", 422)],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(api: Api, path: str, status: int) -> None:
    set_up(api)
    assert api.call("GET", f"/v1/tenants/{path}").status_code == status


@pytest.mark.parametrize("charge", [PER_UNIT | {"limit": "-1"}, {"key": "a", "model": {"type": "flat", "amount": "1"},
                                                                 "limit": "5"}])  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused(api: Api, charge: Any) -> None:
    set_up(api)
    body = {"name": "P", "currency": "EUR", "interval": "month", "anchor": "calendar", "charges": [charge]}
    answer = api.call("PUT", "/v1/plans/p", body)
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == ["#/charges/0/limit"]


def test_a_sum_of_stored_hours_is_what_the_pieces_come_to(api: Api) -> None:
    """For any stretch, aligned to hours or inside one, and every aggregation that is summed as it is stored."""
    set_up(api)
    api.put("/v1/tenants/zeta", ACME | {"name": "Zeta", "subjects": []})
    start = datetime(2026, 10, 5, tzinfo=UTC)
    made = [
        event(f"{minutes}-{subject}", subject=subject, time=(start + timedelta(minutes=minutes)).isoformat(),
              data={"kwh": f"{minutes % 7 - 3}.{minutes % 10}", "station": str(minutes % 3)})
        for minutes in range(0, 600, 13)
        for subject in ("acme", "zeta")
    ]  # fmt: skip
    assert api.post("/v1/events", made)["rejected"] == 0
    for aggregation in ("sum", "avg", "min", "max"):
        api.put(f"/v1/meters/{aggregation}", ENERGY | {"aggregation": aggregation})
    database: Database = api.client.app.state.database  # type: ignore[attr-defined]
    minutes = st.integers(-30, 660)

    @given(minutes, minutes, st.sampled_from(["sessions", "sum", "avg", "min", "max"]))
    def agrees(one: int, other: int, key: str) -> None:
        if one == other:
            return
        period = Period(*(start + timedelta(minutes=each) for each in sorted((one, other))))

        def both(connection: Any) -> None:
            meter = find_meter(connection, key)
            ids = [tenant.tenant_id for tenant in tenant_store.all_tenants(connection)]
            found = pieces(connection, meter, period, tenant_ids=ids)
            uses = gather(found, lambda piece: piece.bucket.key.tenant_id, meter=meter)
            wanted = {tenant_id: use.quantity(meter) for tenant_id, use in uses.items()}
            assert quantities(connection, meter, period, tenant_ids=ids) == wanted

        database.read(both)

    agrees()
