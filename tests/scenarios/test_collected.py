"""Several subscriptions of one tenant on one document, where the tenant asks for it: whole stories through HTTP."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from pypdf import PdfReader

from tests.api.french import ACME_LEGAL, GARAGE_LEGAL
from tests.scenarios.test_credit import check_books
from tests.service import ACME, OPERATOR, Api, event, set_up

RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
POWER = {"key": "energy", "meter": "energy", "model": {"type": "per_unit", "unit_price": "0.11"}, "tax": "standard"}
DOORS = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "0.33"}, "tax": "standard"}
RENT = {"key": "rent", "model": {"type": "flat", "amount": "50.00"}, "timing": "advance", "tax": "standard"}
BILLED = "2026-11-01T00:00:00Z"


def plan(api: Api, key: str, *charges: Any, **more: Any) -> None:
    body = {"name": key.title(), "currency": "EUR", "interval": "month", "charges": charges, "anchor": "calendar"}
    api.put(f"/v1/plans/{key}", body | more)
    api.post(f"/v1/plans/{key}/publish", {"effective_at": "2020-01-01T00:00:00Z"})


def subscribe(api: Api, key: str, to: str, start: str = "2026-10-01", **more: Any) -> None:
    api.put(f"/v1/subscriptions/{key}", {"tenant": "acme", "plan": to, "start": start} | more)


def collecting(api: Api, *, power: Any = POWER, doors: Any = DOORS, **tenant: Any) -> None:
    """Acme's power and doors since October, on one document."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api)
    collect(api, **tenant)
    plan(api, "power", power)
    plan(api, "doors", doors)
    subscribe(api, "acme-power", "power")
    subscribe(api, "acme-doors", "doors")


def collect(api: Api, **tenant: Any) -> Any:
    return api.put("/v1/tenants/acme", ACME | {"invoice_collection": "tenant"} | tenant)


def use(api: Api, id: str, kwh: str, time: str = "2026-10-05T10:00:00Z") -> None:
    """One session, and so many kWh."""
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def cancel(api: Api, id: str) -> None:
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": id, "reason": "fault"})


def shown(document: Any) -> tuple[str, list[tuple[str, str, str, str]], str]:
    """Its type, its lines, and its net."""
    lines = [(line["subscription"], line["charge"], line["kind"], line["amount"]) for line in document["lines"]]
    return document["type"], lines, document["net"]


def groups(document: Any) -> list[tuple[str | None, list[str], str]]:
    return [(group["subscription"], group["lines"], group["net"]) for group in document.get("groups", [])]


def month(api: Api, number: int) -> str:
    """Moves the clock to the second of the month, and names the billing instant before."""
    api.clock.set(f"2026-{number:02}-02T12:00:00+00:00")
    return f"2026-{number:02}-01T00:00:00Z"


# --- one document -----------------------------------------------------------------------------------------------------


def test_what_subscriptions_owe_at_one_instant_is_one_document_with_its_subtotals(api: Api) -> None:
    """3 kWh at 0.11 and 1 session at 0.33 are 0.33 each: 0.66, and VAT of the whole 0.132, 0.13. On documents of their
    own it would have been 0.07 twice."""
    collecting(api)
    use(api, "1", "3")
    run = api.bill(BILLED)

    assert (run["periods_due"], run["closed"], run["failed"]) == (2, 2, 0)
    (invoice,) = api.invoices()
    assert shown(invoice) == (
        "invoice",
        [("acme-doors", "sessions", "charge", "0.33"), ("acme-power", "energy", "charge", "0.33")],
        "0.66",
    )
    assert groups(invoice) == [("acme-doors", ["ln_1"], "0.33"), ("acme-power", ["ln_2"], "0.33")]
    assert {group["tenant"] for group in invoice["groups"]} == {"acme"}
    assert invoice["tax"] == [{"category": "S", "rate": "20", "base": "0.66", "amount": "0.13"}]
    assert (invoice["total"], invoice["number"]) == ("0.79", "2026-000001")
    again = api.bill(BILLED)
    assert (again["periods_due"], len(api.invoices())) == (0, 1)
    check_books(api)


def test_a_tenant_that_does_not_ask_for_it_has_a_document_for_each(api: Api) -> None:
    collecting(api, invoice_collection="subscription")
    use(api, "1", "3")
    api.bill(BILLED)

    assert [(one["net"], one["tax"][0]["amount"], groups(one)) for one in api.invoices()] == [("0.33", "0.07", [])] * 2


def test_the_tenant_says_what_it_asked_for(api: Api) -> None:
    set_up(api)
    assert "invoice_collection" not in api.get("/v1/tenants/acme")
    assert collect(api)["invoice_collection"] == "tenant"
    assert api.get("/v1/tenants/acme")["invoice_collection"] == "tenant"
    refused = api.call("PUT", "/v1/tenants/acme", ACME | {"invoice_collection": "everybody"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "#/invoice_collection")
    assert "invoice_collection" not in api.put("/v1/tenants/acme", ACME)


def test_what_falls_on_other_instants_has_documents_of_its_own(api: Api) -> None:
    """Rent from the 15th on its anniversaries: 50.00 in advance, on the 15th of each month; the others on the first."""
    collecting(api)
    plan(api, "rent", RENT, anchor="anniversary")
    subscribe(api, "acme-rent", "rent", "2026-10-15")
    use(api, "1", "3")
    api.bill("2026-11-15T00:00:00Z")

    assert [[line["subscription"] for line in one["lines"]] for one in api.invoices()] == [
        ["acme-rent"], ["acme-doors", "acme-power"], ["acme-rent"],
    ]  # fmt: skip
    check_books(api)


def test_what_is_due_in_advance_at_a_start_is_on_the_document_of_that_instant(api: Api) -> None:
    """Power of October and the rent of November; the document is about both months."""
    collecting(api)
    plan(api, "rent", RENT)
    subscribe(api, "acme-rent", "rent", "2026-11-01")
    use(api, "1", "3")
    api.bill(BILLED)

    (invoice,) = api.invoices()
    assert groups(invoice) == [
        ("acme-doors", ["ln_1"], "0.33"), ("acme-power", ["ln_2"], "0.33"), ("acme-rent", ["ln_3"], "50.00"),
    ]  # fmt: skip
    assert invoice["period"] == {"start": "2026-09-30T22:00:00Z", "end": "2026-11-30T23:00:00Z"}


def test_what_becomes_due_after_that_document_was_issued_has_its_own(api: Api) -> None:
    """The rent is agreed on the 2nd, from 1 October on: October and November are billed beside."""
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED)
    plan(api, "rent", RENT)
    subscribe(api, "acme-rent", "rent", "2026-10-01")
    api.bill(BILLED)

    assert [shown(one)[1:] for one in api.invoices()][1:] == [
        ([("acme-rent", "rent", "charge", "50.00")], "50.00"), ([("acme-rent", "rent", "charge", "50.00")], "50.00"),
    ]  # fmt: skip
    use(api, "2", "3", "2026-11-05T10:00:00Z")
    api.bill(month(api, 12))
    assert len(api.invoices()[-1]["lines"]) == 3
    check_books(api)


def test_a_tenant_may_begin_to_collect_and_stop(api: Api) -> None:
    """September apart, October together, November apart: drafts that were made before are made anew."""
    collecting(api, invoice_collection="subscription")
    use(api, "1", "3")
    api.bill(BILLED, issue=False)
    assert len(api.invoices(status="draft")) == 2
    collect(api)
    assert api.invoices() == []
    api.bill(BILLED)
    (together,) = api.invoices()
    assert len(together["lines"]) == 2
    use(api, "2", "3", "2026-11-05T10:00:00Z")
    use(api, "3", "1")
    at = month(api, 12)
    api.bill(at, issue=False)
    api.put("/v1/tenants/acme", ACME)
    api.bill(at)

    assert [shown(one) for one in api.invoices()][1:] == [
        ("invoice", [("acme-doors", "sessions", "charge", "0.33"), ("acme-doors", "sessions", "difference", "0.33")],
         "0.66"),
        ("invoice", [("acme-power", "energy", "charge", "0.33"), ("acme-power", "energy", "difference", "0.11")],
         "0.44"),
    ]  # fmt: skip
    check_books(api)


def test_a_run_for_one_plan_does_not_tear_the_document_apart(api: Api) -> None:
    collecting(api)
    use(api, "1", "3")
    run = api.bill(BILLED, plans=["power"])

    assert (run["periods_due"], run["closed"]) == (1, 1)
    (invoice,) = api.invoices()
    assert len(invoice["lines"]) == 2


def test_one_that_cannot_be_billed_keeps_the_document_back_and_is_named(api: Api) -> None:
    """A rate that is in force from 2030 only: nothing is issued; once the plan is mended, all of it."""
    api.put("/v1/tax-rates/later", RATE | {"start": "2030-01-01"})
    collecting(api, doors=DOORS | {"tax": "later"})
    use(api, "1", "3")
    run = api.bill(BILLED)

    assert (run["closed"], run["failed"], api.invoices()) == (0, 2, [])
    assert [(one["subscription"], one["detail"]) for one in run["failures"]] == [
        (name, "Subscription 'acme-doors': The tax rate later is in force from 2030-01-01 only.")
        for name in ("acme-doors", "acme-power")
    ]
    api.put("/v1/tax-rates/later", RATE)
    assert api.bill(BILLED)["closed"] == 2
    assert api.invoices()[0]["number"] == "2026-000001"


def test_what_is_out_of_the_scope_of_vat_has_a_document_of_its_own(api: Api) -> None:
    """A deposit of 50.00 and taxed power may not stand on one e-invoice."""
    api.put("/v1/tax-rates/none", {"category": "O", "country": "FR", "start": "2014-01-01"})
    api.put("/v1/tax-rates/standard", RATE)
    collecting(api)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": GARAGE_LEGAL})
    plan(api, "deposit", RENT | {"timing": "arrears", "tax": "none"})
    subscribe(api, "acme-deposit", "deposit")
    use(api, "1", "3")
    run = api.bill(BILLED)

    assert (run["closed"], run["failed"]) == (3, 0)
    assert [[line["subscription"] for line in one["lines"]] for one in api.invoices()] == [
        ["acme-doors", "acme-power"], ["acme-deposit"],
    ]  # fmt: skip
    assert api.bill(BILLED)["periods_due"] == 0
    check_books(api)


def test_references_of_all_stand_on_the_document_and_those_of_one_on_its_lines(api: Api) -> None:
    collecting(api)
    subscribe(api, "acme-power", "power", contract_reference="C-1", cost_centre="energy")
    subscribe(api, "acme-doors", "doors", contract_reference="C-1", cost_centre="access")
    use(api, "1", "3")
    api.bill(BILLED)

    (invoice,) = api.invoices()
    assert (invoice["contract_reference"], "cost_centre" in invoice) == ("C-1", False)
    assert [line["cost_centre"] for line in invoice["lines"]] == ["access", "energy"]


# --- late use, credit notes -------------------------------------------------------------------------------------------


def test_late_use_joins_the_next_document_and_what_is_owed_back_is_credited_on_the_one_that_billed_it(
    api: Api,
) -> None:
    """Of October 3 kWh and a session are cancelled, and 10 kWh with a session come late: 0.77 more of power, 1 session
    as before. Then all of October's is cancelled: 0.33 of doors on the first, 1.10 of power on both documents."""
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED)
    cancel(api, "1")
    use(api, "late", "10")
    use(api, "2", "1", "2026-11-05T10:00:00Z")
    api.bill(month(api, 12))

    first, second = api.invoices()
    assert shown(second) == (
        "invoice",
        [("acme-doors", "sessions", "charge", "0.33"), ("acme-power", "energy", "charge", "0.11"),
         ("acme-power", "energy", "difference", "0.77")],
        "1.21",
    )  # fmt: skip
    assert groups(second)[1] == ("acme-power", ["ln_2", "ln_3"], "0.88")
    cancel(api, "late")
    api.bill("2026-12-01T00:00:00Z")
    notes = [one for one in api.invoices() if one["type"] == "credit_note"]
    assert [(shown(one)[1:], one["references"][0]["id"]) for one in notes] == [
        (([("acme-doors", "sessions", "credit", "0.33")], "0.33"), first["id"]),
        (([("acme-power", "energy", "credit", "0.77")], "0.77"), second["id"]),
        (([("acme-power", "energy", "credit", "0.33")], "0.33"), first["id"]),
    ]
    # 0.13 of VAT on 0.66: the first note has round(0.33 x 20 %) = 0.07, the second 0.13 - 0.07.
    assert [one["tax"][0]["amount"] for one in notes if one["references"][0]["id"] == first["id"]] == ["0.07", "0.06"]
    assert api.get(f"/v1/invoices/{first['id']}")["due"] == "0.00"
    api.bill("2026-12-01T00:00:00Z")
    assert len(api.invoices()) == 5
    check_books(api)


def test_the_same_fixed_charge_of_two_subscriptions_is_credited_apart(api: Api) -> None:
    """Two rooms at 50.00 on one plan: of one 20.00 are credited as a gift. The other ends in mid-month and gives 25.00
    back (15 of 30 days of November)."""
    collecting(api)
    plan(api, "rent", RENT)
    subscribe(api, "room-1", "rent", "2026-11-01")
    subscribe(api, "room-2", "rent", "2026-11-01")
    api.bill(BILLED)
    (invoice,) = api.invoices()
    lines = {line["subscription"]: line["id"] for line in invoice["lines"]}
    path = f"/v1/invoices/{invoice['id']}/credit-notes"
    note = api.post(path, {"reason": "noise", "lines": [{"line": lines["room-1"], "amount": "20.00"}]})
    assert [line["subscription"] for line in note["lines"]] == ["room-1"]
    subscribe(api, "room-2", "rent", "2026-11-01", end="2026-11-16")
    api.bill("2026-11-16T00:00:00Z")

    (_, _, second) = api.invoices()
    assert shown(second)[1:] == ([("room-2", "rent", "credit", "25.00")], "25.00")
    refused = api.call("POST", path, {"reason": "no", "lines": [{"line": lines["room-2"], "amount": "25.01"}]})
    assert (refused.status_code, refused.json()["left"]) == (422, "25.00")
    check_books(api)


def test_a_whole_document_is_cancelled_and_billed_again_in_one_step(api: Api) -> None:
    """0.33 and 0.33, and 7 kWh that came late: the new invoice has 1.10 of power and two sessions."""
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED)
    use(api, "late", "7")
    (invoice,) = api.invoices()
    note = api.post(
        f"/v1/invoices/{invoice['id']}/credit-notes",
        {"reason": "wrong address", "reopens_usage": True, "reissue": True},
    )

    assert shown(note)[1:] == (
        [("acme-doors", "sessions", "credit", "0.33"), ("acme-power", "energy", "credit", "0.33")], "0.66",
    )  # fmt: skip
    assert groups(note) == [("acme-doors", ["ln_1"], "0.33"), ("acme-power", ["ln_2"], "0.33")]
    again = note["reissued"]
    assert shown(again)[1:] == (
        [("acme-doors", "sessions", "charge", "0.66"), ("acme-power", "energy", "charge", "1.10")], "1.76",
    )  # fmt: skip
    assert again["due_date"] == invoice["due_date"], "a periodic invoice, as the one before"
    api.bill(BILLED)
    assert len(api.invoices()) == 3
    check_books(api)


def test_a_credit_that_opens_use_again_is_billed_with_the_next_document(api: Api) -> None:
    """The line of power is credited to be billed again: November's document has it."""
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED)
    (invoice,) = api.invoices()
    api.post(
        f"/v1/invoices/{invoice['id']}/credit-notes",
        {"reason": "again", "reopens_usage": True, "lines": [{"line": "ln_2"}]},
    )
    api.bill(month(api, 12))

    assert shown(api.invoices()[-1])[1:] == (
        [("acme-doors", "sessions", "charge", "0.00"), ("acme-power", "energy", "charge", "0.00"),
         ("acme-power", "energy", "difference", "0.33")],
        "0.33",
    )  # fmt: skip
    check_books(api)


def test_credit_notes_with_numbers_of_their_own_are_made_once(api: Api) -> None:
    """A session of 3 kWh is cancelled: 0.33 and 0.33 go back, whichever number the notes have in their series."""
    collecting(api)
    api.put("/v1/tenants/garage", OPERATOR | {"numbering": {"pattern": "F{seq:06}", "credit_note": "A{seq:06}"}})
    use(api, "1", "3")
    use(api, "2", "3", "2026-11-05T10:00:00Z")
    use(api, "3", "3", "2026-11-06T10:00:00Z")
    api.bill(BILLED)
    api.bill(month(api, 12))
    cancel(api, "2")
    api.bill("2026-12-01T00:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    assert [one["number"] for one in api.invoices()] == ["F000001", "F000002", "A000001", "A000002"]
    check_books(api)


# --- drafts -----------------------------------------------------------------------------------------------------------


def test_the_draft_is_one_that_is_edited_approved_and_issued_as_a_whole(api: Api) -> None:
    """0.33 and 0.33, of which one is waived, and 2 h at 80.00 beside them: 160.33; then 7 kWh come late."""
    collecting(api, drafts={"approval": True})
    use(api, "1", "3")
    run = api.bill(BILLED)
    (draft,) = api.invoices()
    assert [one["invoice"] for one in run["withheld"]] == [draft["id"]]
    path = f"/v1/invoices/{draft['id']}"
    work = {"description": "Installation", "quantity": "2", "unit_price": "80.00", "tax": "standard"}
    edited = api.call("PATCH", path, {"lines": [work], "waive": [{"line": "ln_1", "reason": "opening"}]}).json()

    assert shown(edited)[1:] == (
        [("acme-doors", "sessions", "charge", "0.00"), ("acme-power", "energy", "charge", "0.33"),
         ("", "", "one_off", "160.00")],
        "160.33",
    )  # fmt: skip
    assert groups(edited)[2] == (None, ["ln_3"], "160.00")
    assert api.call("POST", f"{path}/issue").json()["type"].endswith("approval-required")
    api.post(f"{path}/approve", {"digest": edited["digest"]})
    use(api, "late", "7")
    assert api.call("POST", f"{path}/issue").status_code == 409, "it says something else by now"
    api.bill(BILLED, issue=False)
    again = api.get(path)
    assert (again["net"], again["approved"]) == ("161.10", False)
    api.post(f"{path}/approve", {})
    issued = api.call("POST", f"{path}/issue").json()
    assert (issued["status"], issued["net"], issued["id"]) == ("issued", "161.10", draft["id"])
    assert api.bill(BILLED)["periods_due"] == 0
    check_books(api)


def test_a_draft_that_is_discarded_or_changed_beneath_is_made_anew(api: Api) -> None:
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED, issue=False)
    (draft,) = api.invoices()
    assert api.call("POST", f"/v1/invoices/{draft['id']}/discard").status_code == 204
    assert api.invoices() == []
    api.bill(BILLED, issue=False)
    subscribe(api, "acme-doors", "doors", end="2026-10-20")
    assert api.invoices() == [], "a schedule has changed: no draft is right any more"
    api.bill(BILLED)

    assert [[line["subscription"] for line in one["lines"]] for one in api.invoices()] == [
        ["acme-doors"], ["acme-power"],
    ]  # fmt: skip
    check_books(api)


def test_a_document_waits_for_an_earlier_one_of_any_of_its_subscriptions(api: Api) -> None:
    """October is on hold: November's is drafted, and not issued before it."""
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED, issue=False)
    (october,) = api.invoices()
    api.call("PATCH", f"/v1/invoices/{october['id']}", {"hold": True})
    run = api.bill(month(api, 12))
    assert (run["failed"], [one["reason"] for one in run["withheld"]]) == (0, ["held"])
    (_, november) = api.invoices()
    assert november["status"] == "draft"
    refused = api.call("POST", f"/v1/invoices/{november['id']}/issue")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "earlier-period-open")
    api.call("PATCH", f"/v1/invoices/{october['id']}", {"hold": False})
    api.bill("2026-12-01T00:00:00Z")
    assert [one["status"] for one in api.invoices()] == ["issued", "issued"]
    check_books(api)


# --- credit, coupons, what plans share --------------------------------------------------------------------------------


@pytest.mark.parametrize("is_collected", [True, False])
def test_credit_lowers_and_pays_the_document_as_a_whole(api: Api, is_collected: bool) -> None:
    """30.00 and 33.00 at 20 %, less 40.00 of promotional credit: 23.00, with VAT 27.60, of which a balance pays 20.00.
    Apart, the document that comes first takes its 33.00."""
    collecting(
        api, power=POWER | {"model": {"type": "per_unit", "unit_price": "10"}},
        doors=DOORS | {"model": {"type": "per_unit", "unit_price": "33"}},
        invoice_collection="tenant" if is_collected else "subscription",
    )  # fmt: skip
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "promotional", "amount": "40.00"})
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "20.00"})
    use(api, "1", "3")
    api.bill(BILLED)

    made = [(one["net"], one["total"], one["paid"]) for one in api.invoices()]
    whole = ("23.00", "27.60", "20.00")
    assert made == ([whole] if is_collected else [("0.00", "0.00", "0.00"), whole])
    check_books(api)


def test_a_coupon_of_an_amount_comes_off_the_document_once(api: Api) -> None:
    """10.00 off 6.00 and 30.00: all 6.00, and 4.00. Then a second session of 6.00 and 1 kWh come late: nothing of
    October's coupon is left for them."""
    collecting(
        api, power=POWER | {"model": {"type": "per_unit", "unit_price": "10"}},
        doors=DOORS | {"model": {"type": "per_unit", "unit_price": "6"}},
    )  # fmt: skip
    api.put("/v1/coupons/ten-off", {"name": "Ten off", "amount": "10.00", "currency": "EUR", "periods": 1})
    applied = api.post("/v1/applied-coupons", {"coupon": "ten-off", "tenant": "acme"})
    use(api, "1", "3")
    api.bill(BILLED)

    (invoice,) = api.invoices()
    assert [(line["allowances"][0]["amount"], line["amount"]) for line in invoice["lines"]] == [
        ("6.00", "0.00"), ("4.00", "26.00"),
    ]  # fmt: skip
    assert api.get(f"/v1/applied-coupons/{applied['id']}")["used"] == 1
    use(api, "late", "1")
    api.bill(month(api, 12))
    assert shown(api.invoices()[-1])[1] == [
        ("acme-doors", "sessions", "charge", "0.00"), ("acme-doors", "sessions", "difference", "6.00"),
        ("acme-power", "energy", "charge", "0.00"), ("acme-power", "energy", "difference", "10.00"),
    ]  # fmt: skip
    check_books(api)


def test_units_that_two_subscriptions_may_draw_are_drawn_once(api: Api) -> None:
    """100 prepaid kWh. Power moves to doors in November, and another subscription prices the kWh from then on. On
    1 December 60 kWh of October come late and 70 of November are new: 60 and 40 are drawn, 30 are paid."""
    collecting(api, power=POWER | {"model": {"type": "per_unit", "unit_price": "1"}})
    plan(api, "nothing", {"key": "club", "model": {"type": "flat", "amount": "1.00"}, "tax": "standard"})
    subscribe(api, "acme-power", "power", changes=[{"at": "2026-11-01", "plan": "nothing"}])
    subscribe(api, "later-power", "power", "2026-11-01")
    grant = api.post("/v1/credit-grants", {"tenant": "acme", "kind": "units", "meter": "energy", "amount": "100"})
    api.bill(BILLED)
    use(api, "late", "60")
    use(api, "new", "70", "2026-11-05T10:00:00Z")
    api.bill(month(api, 12))

    amounts = {(line["subscription"], line["charge"]): line["amount"] for line in api.invoices()[-1]["lines"]}
    assert (amounts["acme-power", "energy"], amounts["later-power", "energy"]) == ("0.00", "30.00")
    assert api.get(f"/v1/credit-grants/{grant['id']}")["left"] == "0"
    check_books(api)


def test_minimum_and_allowance_stay_each_subscriptions_own(api: Api) -> None:
    """Power has a minimum of 5.00 for the plan: 0.33 and 4.67. Doors has a free session: 0.00."""
    collecting(api, doors=DOORS | {"allowance": "1"})
    plan(api, "floor", POWER, minimum="5.00")
    subscribe(api, "acme-power", "floor")
    use(api, "1", "3")
    api.bill(BILLED)

    (invoice,) = api.invoices()
    assert groups(invoice) == [("acme-doors", ["ln_1"], "0.00"), ("acme-power", ["ln_2", "ln_3"], "5.00")]
    check_books(api)


# --- reading it -------------------------------------------------------------------------------------------------------


def test_a_line_is_explained_and_names_its_events_and_what_changed_them(api: Api) -> None:
    collecting(api)
    use(api, "1", "3")
    api.bill(BILLED)
    use(api, "late", "7")
    api.bill(month(api, 12))

    first, second = api.invoices()
    events = api.get(f"/v1/invoices/{first['id']}/lines/ln_2/events")
    assert ([row["id"] for row in events["data"]], events["verified"]) == (["1"], True)
    (line,) = [one for one in second["lines"] if (one["charge"], one["kind"]) == ("energy", "difference")]
    path = f"/v1/invoices/{second['id']}/lines/{line['id']}"
    changed = api.get(f"{path}/events")
    assert [(row["id"], row["change"]) for row in changed["data"]] == [("late", "added")]
    assert first["number"] in api.call("GET", f"{path}/explanation", headers={"accept": "text/plain"}).text


def test_the_month_end_has_the_use_of_each_subscription_once(api: Api) -> None:
    """Seen on 31 October, before the invoice was made and after: 0.33 of each are accrued."""
    collecting(api)
    use(api, "1", "3")
    expected = [("acme-doors", "0.33"), ("acme-power", "0.33")]
    for _ in range(2):
        rows = api.get("/v1/exports/month-end", as_of="2026-10-31")["accrued"]
        assert sorted((row["subscription"], row["amount"]) for row in rows) == expected
        api.bill(BILLED)


def test_every_file_of_the_document_is_made(api: Api) -> None:
    """Groups have no place in EN 16931: the e-invoice has the lines of any other document, and 0.13 of VAT."""
    collecting(api, legal=ACME_LEGAL)
    api.put("/v1/tenants/garage", OPERATOR | {"legal": GARAGE_LEGAL, "tax": "standard"})
    use(api, "1", "3")
    api.bill(BILLED)
    (invoice,) = api.invoices()
    files = {}
    for ending in ("pdf", "xml", "csv"):
        answer = api.call("GET", f"/v1/invoices/{invoice['id']}.{ending}")
        assert answer.status_code == 200, answer.text
        files[ending] = answer.content
    assert files["xml"].count(b"<ram:IncludedSupplyChainTradeLineItem>") == 2
    assert b'<ram:TaxTotalAmount currencyID="EUR">0.13</ram:TaxTotalAmount>' in files["xml"]
    text = " ".join(PdfReader(io.BytesIO(files["pdf"])).pages[0].extract_text().split())
    assert "Abonnement acme-doors" in text and "Sous-total acme-power 0,33" in text
    assert [row["subscription"] for row in csv.DictReader(io.StringIO(files["csv"].decode()))] == [
        "acme-doors", "acme-power",
    ]  # fmt: skip
