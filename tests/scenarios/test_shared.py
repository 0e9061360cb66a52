"""What the charges of a plan have in common, on invoices and when use comes late: whole stories through HTTP."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.scenarios.test_credit import cancel, check_books, grant, left, use
from tests.service import PER_UNIT, Api, event, set_up

ENERGY_AT_ONE = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}}
SESSIONS_AT_TEN = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "10"}}


def lines(invoice: Any) -> list[tuple[str, str, str]]:
    return [(line["charge"], line["kind"], line["amount"]) for line in invoice["lines"]]


def in_all(api: Api) -> dict[str, str]:
    """What was billed less what was credited, by charge and start of the period."""
    sums: dict[str, Decimal] = {}
    for document in api.invoices():
        for line in document["lines"]:
            sign = -1 if document["type"] == "credit_note" else 1
            key = f"{line['charge']} {line['period']['start'][:10]}"
            sums[key] = sums.get(key, Decimal(0)) + sign * Decimal(line["amount"])
    return {key: format(amount, "f") for key, amount in sums.items()}


def test_an_allowance_that_rolls_over_is_there_in_the_next_month_and_no_longer(api: Api) -> None:
    """100 free a month, the rest carried for one month, 50 at most. September uses 30 and leaves 70, of which October
    has 50: 150 in all, it uses 130 and leaves 20 of its own. November has 120 and uses 135: 15 are to be paid."""
    charge = {**ENERGY_AT_ONE, "allowance": "100", "rollover": {"periods": 1, "cap": "50"}}
    set_up(api, [charge], start="2026-09-01")
    api.clock.set("2026-12-02T12:00:00+00:00")
    for id, kwh, time in (("1", "30", "2026-09-05"), ("2", "130", "2026-10-05"), ("3", "135", "2026-11-05")):
        use(api, id, kwh, f"{time}T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    assert [lines(invoice) for invoice in api.invoices()] == [
        [("energy", "charge", "0.00")], [("energy", "charge", "0.00")], [("energy", "charge", "15.00")],
    ]  # fmt: skip
    check_books(api)


def test_late_use_takes_what_had_rolled_over_and_the_month_after_is_corrected_too(api: Api) -> None:
    """September leaves 70 of 100 and October uses 150 of its 170, all free. Then 40 more of September come late: it
    leaves 30, October has 130, and owes 20.00, as if September had been right from the start."""
    charge = {**ENERGY_AT_ONE, "allowance": "100", "rollover": {"periods": 1}}
    set_up(api, [charge], start="2026-09-01")
    use(api, "1", "30", "2026-09-05T10:00:00Z")
    use(api, "2", "150", "2026-10-05T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    use(api, "3", "40", "2026-09-06T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    for _ in range(2):
        api.bill("2026-12-01T00:00:00Z")

    assert in_all(api) == {"energy 2026-08-31": "0.00", "energy 2026-09-30": "20.00", "energy 2026-10-31": "0.00"}
    assert len(api.invoices()) == 3
    check_books(api)


def test_a_shared_allowance_is_used_up_in_the_order_of_its_charges(api: Api) -> None:
    """100 units for energy and then sessions. 60 kWh are free; of 50 sessions 40 are, and 10 x 10.00 are billed. 20 kWh
    that come late take 20 from the sessions, which owe 200.00 more; the kWh owe nothing."""
    shared = [{"key": "pot", "quantity": "100", "charges": ["energy", "sessions"]}]
    set_up(api, [SESSIONS_AT_TEN, ENERGY_AT_ONE], start="2026-09-01", allowances=shared)
    events = [
        event(str(number), time="2026-09-05T10:00:00Z", data={"kwh": "1.2", "station": "1"}) for number in range(50)
    ]
    api.post("/v1/events", events)
    api.bill("2026-10-01T00:00:00Z")
    assert lines(api.invoices()[0]) == [("sessions", "charge", "100.00"), ("energy", "charge", "0.00")]
    cancel(api, "0")
    late = event("late", time="2026-09-06T10:00:00Z", data={"kwh": "21.2", "station": "1"})
    api.post("/v1/events", [late])
    api.bill("2026-11-01T00:00:00Z")

    assert in_all(api)["sessions 2026-08-31"] == "300.00"
    check_books(api)


def test_prepaid_units_lower_the_quantity_before_it_is_priced(api: Api) -> None:
    """120 kWh, 10 free; 50 of a grant that expires first and 30 of another leave 30 to be priced."""
    set_up(api, [{**ENERGY_AT_ONE, "allowance": "10"}], start="2026-10-01")
    never = grant(api, "units", "30", meter="energy")
    lapsing = grant(api, "units", "50", meter="energy", expires_at="2027-01-01")
    use(api, "1", "120")
    api.bill("2026-11-01T00:00:00Z")

    (invoice,) = api.invoices()
    (line,) = invoice["lines"]
    assert (line["quantity"], line["amount"]) == ("120", "30.00")
    assert (left(api, never)[:2], left(api, lapsing)[:2]) == (("30", "0"), ("50", "0"))
    (entry,) = api.get(f"/v1/credit-grants/{never}")["uses"]
    assert (entry["amount"], entry["document"]["number"], entry["line"]) == ("30", "2026-000001", "ln_1")
    explained = api.get(f"/v1/invoices/{invoice['id']}/lines/ln_1/explanation")
    assert explained["holds"] is True
    check_books(api)


def test_late_use_draws_prepaid_units_and_cancelled_use_gives_them_back(api: Api) -> None:
    """60 of 100 are drawn in October. 20 more come late and draw 20, for nothing; then 50 are cancelled and go back."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01")
    units = grant(api, "units", "100", meter="energy")
    use(api, "1", "50")
    use(api, "2", "10")
    api.bill("2026-11-01T00:00:00Z")
    assert left(api, units)[:2] == ("60", "40")
    use(api, "3", "20")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    assert left(api, units)[:2] == ("80", "20")
    assert lines(api.invoices()[1]) == [("energy", "charge", "0.00"), ("energy", "difference", "0.00")]
    check_books(api)
    cancel(api, "1")
    api.clock.set("2027-01-02T12:00:00+00:00")
    for _ in range(2):
        api.bill("2027-01-01T00:00:00Z")

    assert left(api, units)[:2] == ("30", "70")
    entries = api.get(f"/v1/credit-grants/{units}/uses")["data"]
    assert [(entry["kind"], entry["amount"]) for entry in entries] == [("use", "60"), ("use", "20"), ("return", "-50")]
    check_books(api)


def test_units_that_expire_within_a_period_are_for_the_use_before(api: Api) -> None:
    """50 prepaid, until 15 October: of 30 kWh on the 5th and 40 on the 20th they pay for the 30."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01")
    api.clock.set("2026-10-02T12:00:00+00:00")
    units = grant(api, "units", "50", meter="energy", expires_at="2026-10-15")
    api.clock.set("2026-11-02T12:00:00+00:00")
    use(api, "1", "30", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-20T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")

    assert api.invoices()[0]["net"] == "40.00"
    assert left(api, units) == ("30", "0", "20", "0")


def test_a_plan_minimum_is_topped_up_and_late_use_fills_it_first(api: Api) -> None:
    """October's 60.00 under a minimum of 100.00 owe 40.00 more. 30.00 that come late are within the minimum: the next
    invoice has 30.00 of use and -30.00 of the minimum. 30.00 more: 20.00 above it are owed."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01", minimum="100.00")
    use(api, "1", "60")
    api.bill("2026-11-01T00:00:00Z")
    assert lines(api.invoices()[0]) == [("energy", "charge", "60.00"), ("true-up", "charge", "40.00")]
    use(api, "2", "30")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    assert sorted(lines(api.invoices()[1])) == [
        ("energy", "charge", "0.00"), ("energy", "difference", "30.00"), ("true-up", "charge", "100.00"),
        ("true-up", "difference", "-30.00"),
    ]  # fmt: skip
    assert api.invoices()[1]["net"] == "100.00"
    use(api, "3", "30")
    api.clock.set("2027-01-02T12:00:00+00:00")
    for _ in range(2):
        api.bill("2027-01-01T00:00:00Z")

    found = in_all(api)
    assert (found["energy 2026-09-30"], found["true-up 2026-09-30"]) == ("120.00", "0.00")
    assert len(api.invoices()) == 3
    check_books(api)


def test_a_plan_maximum_takes_its_part_off_every_charge(api: Api) -> None:
    """30.00 of energy and 30.00 of three sessions under a maximum of 40.00: 10.00 off each. Late use adds nothing."""
    set_up(api, [ENERGY_AT_ONE, SESSIONS_AT_TEN], start="2026-10-01", maximum="40.00")
    for id in ("1", "2", "3"):
        use(api, id, "10")
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    assert [(line["amount"], line["allowances"]) for line in invoice["lines"]] == [
        ("20.00", [{"description": "maximum of the plan", "amount": "10.00"}])
    ] * 2
    use(api, "4", "7")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")

    assert api.invoices()[1]["net"] == "0.00"
    check_books(api)


def test_what_a_minimum_adds_is_named_in_the_buyers_language(api: Api) -> None:
    """40.00 up to a minimum of 100.00, for a French buyer in French."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01", minimum="100.00")
    use(api, "1", "60")
    api.bill("2026-11-01T00:00:00Z")

    added = api.invoices()[0]["lines"][-1]
    assert (added["charge"], added["description"], added["amount"]) == ("true-up", "Minimum de l’offre", "40.00")


def test_what_exceeds_a_commitment_costs_the_overage_factor(api: Api) -> None:
    """100.00 committed, factor 1.5. October's 130.00 cost 15.00 more; November's 80.00 are topped up by 20.00."""
    set_up(api, [ENERGY_AT_ONE], start="2026-10-01", commitment={"amount": "100", "overage_factor": "1.5"})
    use(api, "1", "130")
    use(api, "2", "80", "2026-11-05T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")

    first, second = api.invoices()
    assert lines(first) == [("energy", "charge", "130.00"), ("true-up", "charge", "15.00")]
    (component,) = first["lines"][1]["components"]
    assert (component["kind"], component["quantity"], component["unit_price"]) == ("commitment_overage", "30", "0.50")
    assert lines(second) == [("energy", "charge", "80.00"), ("true-up", "charge", "20.00")]
    check_books(api)


def test_a_commitment_over_a_term_is_met_at_its_end(api: Api) -> None:
    """300.00 over three months: 50.00, 60.00 and 70.00 leave 120.00, due with the third. 30.00 that come late in the
    first are within it."""
    set_up(api, [ENERGY_AT_ONE], start="2026-09-01", commitment={"amount": "300", "periods": 3})
    for id, kwh, time in (("1", "50", "2026-09-05"), ("2", "60", "2026-10-05"), ("3", "70", "2026-11-05")):
        use(api, id, kwh, f"{time}T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01T00:00:00Z")
    assert [lines(invoice) for invoice in api.invoices()] == [
        [("energy", "charge", "50.00")],
        [("energy", "charge", "60.00")],
        [("energy", "charge", "70.00"), ("true-up", "charge", "120.00")],
    ]
    use(api, "4", "30", "2026-09-06T10:00:00Z")
    api.clock.set("2027-01-02T12:00:00+00:00")
    api.bill("2027-01-01T00:00:00Z")

    found = in_all(api)
    assert (found["energy 2026-08-31"], found["true-up 2026-10-31"]) == ("80.00", "90.00")
    check_books(api)


def test_billing_in_parts_and_late_comes_to_what_billing_at_once_comes_to(api: Api) -> None:
    """Two tenants on one plan with a shared allowance that rolls over, a minimum, a maximum and a commitment over a
    term have the same use of three months. One is billed month by month while its use comes late and some of it is
    cancelled, the other once at the end: of each charge and month both have paid the same."""
    terms: dict[str, Any] = {
        "allowances": [
            {"key": "pot", "quantity": "30", "charges": ["energy", "sessions"], "rollover": {"periods": 2, "cap": "20"}}
        ],
        "minimum": "40.00", "maximum": "120.00",
        "commitment": {"amount": "250", "periods": 3, "overage_factor": "1.5"},
    }  # fmt: skip
    set_up(api, [ENERGY_AT_ONE, SESSIONS_AT_TEN], start="2026-08-01", **terms)
    api.put("/v1/tenants/birch", {"name": "Birch", "currency": "EUR", "time_zone": "Europe/Paris", "language": "fr"})
    api.put("/v1/subscriptions/birch-1", {"tenant": "birch", "plan": "standard", "start": "2026-08-01"})
    first = [
        ("a", "12", "2026-08-05"),
        ("b", "70", "2026-09-05"),
        ("c", "33.5", "2026-10-05"),
        ("x", "9", "2026-08-07"),
    ]
    late = [("d", "25", "2026-08-06"), ("e", "81", "2026-09-07"), ("f", "3.25", "2026-08-08")]
    for number, (id, kwh, day) in enumerate(first):
        use(api, id, kwh, f"{day}T10:00:00Z")
        api.bill(("2026-09-01", "2026-10-01", "2026-11-01", "2026-11-01")[number], tenants=["acme"])
    for id, kwh, day in late:
        use(api, id, kwh, f"{day}T10:00:00Z")
        api.bill("2026-11-01", tenants=["acme"])
    cancel(api, "x")
    for id, kwh, day in [item for item in first + late if item[0] != "x"]:
        use(api, f"birch-{id}", kwh, f"{day}T10:00:00Z", subject="birch")
    api.clock.set("2026-12-02T12:00:00+00:00")
    api.bill("2026-12-01")

    found = {key: in_all_of(api, key) for key in ("acme", "birch")}
    assert found["acme"] == found["birch"]
    assert len(found["birch"]) >= 7
    check_books(api)


def in_all_of(api: Api, buyer: str) -> dict[str, Decimal]:
    """What was billed to the tenant less what was credited, by charge and start of the period, where it is not 0."""
    sums: dict[str, Decimal] = {}
    for document in api.invoices(buyer=buyer):
        for line in document["lines"]:
            sign = -1 if document["type"] == "credit_note" else 1
            key = f"{line['charge']} {line['period']['start'][:10]}"
            sums[key] = sums.get(key, Decimal(0)) + sign * Decimal(line["amount"])
    return {key: amount for key, amount in sums.items() if amount}
