"""Drafts that people edit, hold and approve, and invoices that they write themselves."""

from __future__ import annotations

from typing import Any

from app.operations.audit_books import audit_books
from app.operations.issue_ripe import issue_ripe
from tests.service import OPERATOR, PER_UNIT, Api, event, set_up

AT_ONE = {**PER_UNIT, "model": {"type": "per_unit", "unit_price": "1"}, "tax": "standard"}
RATE = {"category": "S", "rate": "20", "country": "FR", "start": "2014-01-01"}
WORK = {"description": "Installation", "quantity": "2.5", "unit_price": "80.00", "unit": "h", "tax": "standard"}


def use(api: Api, id: str, kwh: str, time: str = "2026-10-05T10:00:00Z") -> None:
    assert api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])["accepted"] == 1


def drafted(api: Api, **rules: Any) -> Any:
    """The draft of October: 100 kWh at one euro."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api, [AT_ONE], start="2026-10-01")
    if rules:
        api.put("/v1/tenants/garage", OPERATOR | {"drafts": rules})
    use(api, "1", "100")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    (draft,) = api.invoices()
    return draft


def patch(api: Api, draft: Any, body: Any, **rest: Any) -> Any:
    return api.call("PATCH", f"/v1/invoices/{draft['id']}", body, **rest)


def issued(api: Api, draft: Any) -> Any:
    return api.call("POST", f"/v1/invoices/{draft['id']}/issue")


def problem(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def check_books(api: Api) -> None:
    found = audit_books(api.client.app.state.database, now=api.clock())  # type: ignore[attr-defined]
    assert found.differences == []


def test_what_is_edited_stays_when_the_draft_is_computed_again(api: Api) -> None:
    """100.00 waived, 2.5 h x 80.00 written: 200.00. Then 7 kWh come late: the line is waived as a whole still."""
    draft = drafted(api)
    body = {"lines": [WORK], "waive": [{"line": "ln_1", "reason": "a trial"}], "note": "With thanks",
            "reference": "R-1", "purchase_order": "PO-7"}  # fmt: skip
    edited = patch(api, draft, body).json()

    assert [(line["kind"], line["amount"], line["waived"]) for line in edited["lines"]] == [
        ("charge", "0.00", "a trial"), ("one_off", "200.00", None),
    ]  # fmt: skip
    assert edited["lines"][0]["allowances"] == [{"description": "waived: a trial", "amount": "100.00"}]
    assert (edited["id"], edited["net"], edited["total"]) == (draft["id"], "200.00", "240.00")
    use(api, "late", "7")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    again = api.get(f"/v1/invoices/{draft['id']}")
    assert (again["lines"][0]["quantity"], again["net"]) == ("107", "200.00")
    invoice = issued(api, draft).json()
    assert (invoice["note"], invoice["purchase_order"], invoice["reference"]) == ("With thanks", "PO-7", "R-1")
    assert invoice["total"] == "240.00"
    check_books(api)
    assert patch(api, invoice, {"note": "x"}).status_code == 409
    api.bill("2026-11-01T00:00:00Z")
    assert len(api.invoices()) == 1, "what is waived is not billed again"


def test_use_that_falls_after_its_line_was_waived_credits_nothing(api: Api) -> None:
    """100.00 were waived, and 40 kWh are cancelled later: the note has 40.00 less 40.00, and the books balance."""
    draft = drafted(api)
    use(api, "wrong", "40")
    patch(api, draft, {"waive": [{"line": "ln_1", "reason": "agreed"}], "lines": [WORK]})
    assert issued(api, draft).json()["net"] == "200.00"
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "wrong", "reason": "no"})
    api.bill("2026-11-01T00:00:00Z")

    note = api.invoices()[-1]
    assert ([line["amount"] for line in note["lines"]], note["total"]) == (["40.00", "-40.00"], "0.00")
    check_books(api)


def test_what_was_waived_stays_waived_when_the_invoice_is_issued_again(api: Api) -> None:
    """100.00 waived beside 200.00 of work: the new invoice has the work, and the use at 0.00, for it stays billed."""
    draft = drafted(api)
    patch(api, draft, {"lines": [WORK], "waive": [{"line": "ln_1", "reason": "agreed"}]})
    invoice = issued(api, draft).json()
    made = api.post(f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "wrong buyer name", "reissue": True})

    assert (made["net"], [line["amount"] for line in made["reissued"]["lines"]]) == (
        "200.00", ["0.00", "200.00"],
    )  # fmt: skip
    api.bill("2026-11-01T00:00:00Z")
    assert len(api.invoices()) == 3
    check_books(api)


def test_a_patch_changes_what_it_names_and_null_takes_it_away(api: Api) -> None:
    draft = drafted(api)
    patch(api, draft, {"lines": [WORK], "note": "first", "due_date": "2026-12-24"})
    second = patch(api, draft, {"note": None, "waive": [{"line": "ln_1", "reason": "agreed"}]}).json()
    assert (second["note"], second["due_date"], second["net"]) == (None, "2026-12-24", "200.00")
    third = patch(api, draft, {"lines": [], "waive": None}).json()
    assert (third["net"], len(third["lines"])) == ("100.00", 1)
    assert issued(api, draft).json()["due_date"] == "2026-12-24"


def test_a_held_draft_is_issued_by_nobody_until_it_is_released(api: Api) -> None:
    """October is held: the run issues neither it nor November, whose draft waits behind it, and says so."""
    draft = drafted(api)
    held = patch(api, draft, {"hold": True, "hold_reason": "the meter is checked"}).json()
    assert (held["hold"], held["hold_reason"]) == (True, "the meter is checked")
    assert problem(issued(api, draft)) == (409, "draft-held")
    use(api, "2", "5", "2026-11-05T10:00:00Z")
    api.clock.set("2026-12-02T12:00:00+00:00")
    run = api.bill("2026-12-01T00:00:00Z")

    assert [(one["invoice"], one["reason"]) for one in run["withheld"]] == [(draft["id"], "held")]
    assert (run["failed"], [one["status"] for one in api.invoices()]) == (0, ["draft", "draft"])
    patch(api, draft, {"hold": False})
    run = api.bill("2026-12-01T00:00:00Z")
    assert (run["withheld"], [one["status"] for one in api.invoices()]) == ([], ["issued", "issued"])
    check_books(api)


def test_an_approval_is_for_what_the_draft_says_and_lapses_with_it(api: Api) -> None:
    draft = drafted(api, approval=True)
    assert problem(issued(api, draft)) == (409, "approval-required")
    path = f"/v1/invoices/{draft['id']}/approve"
    assert api.call("POST", path, {"digest": "0" * 64}).status_code == 409
    approved = api.call("POST", path, {"digest": draft["digest"]}).json()
    assert (draft["approved"], approved["approved"]) == (False, True)
    use(api, "late", "1")
    run = api.bill("2026-11-01T00:00:00Z")
    assert [one["reason"] for one in run["withheld"]] == ["not_approved"]
    assert api.get(f"/v1/invoices/{draft['id']}")["approved"] is False
    assert api.call("POST", path).json()["approved"] is True
    assert api.bill("2026-11-01T00:00:00Z")["withheld"] == []
    (invoice,) = api.invoices()
    assert (invoice["status"], invoice["net"], invoice["digest"]) == ("issued", "101.00", None)
    check_books(api)


def test_a_draft_is_changed_only_as_it_was_seen(api: Api) -> None:
    draft = drafted(api)
    seen = api.call("GET", f"/v1/invoices/{draft['id']}").headers["etag"]
    assert patch(api, draft, {"note": "one"}, headers={"If-Match": seen}).status_code == 200
    for method, tail, body in (("PATCH", "", {"note": "two"}), ("POST", "/approve", None), ("POST", "/issue", None),
                               ("POST", "/discard", None)):  # fmt: skip
        answer = api.call(method, f"/v1/invoices/{draft['id']}{tail}", body, headers={"If-Match": seen})
        assert answer.status_code == 412, answer.text


def test_a_draft_is_issued_by_itself_once_its_grace_is_over(api: Api) -> None:
    """48 hours from the first making, however often it is computed again; one on hold stays."""
    draft = drafted(api, grace_hours=48)
    database = api.client.app.state.database  # type: ignore[attr-defined]
    held = api.post("/v1/invoices", {"buyer": "acme", "lines": [WORK]})
    patch(api, held, {"hold": True})
    api.clock.set("2026-11-25T11:59:00+00:00")
    api.bill("2026-11-01T00:00:00Z", issue=False)
    assert issue_ripe(database, now=api.clock(), terms_days=30) == 0
    api.clock.set("2026-11-25T12:00:00+00:00")
    assert issue_ripe(database, now=api.clock(), terms_days=30) == 1
    assert {one["id"]: one["status"] for one in api.invoices()} == {draft["id"]: "issued", held["id"]: "draft"}
    assert issue_ripe(database, now=api.clock(), terms_days=30) == 0


def test_a_discarded_draft_takes_its_edits_with_it(api: Api) -> None:
    draft = drafted(api)
    patch(api, draft, {"lines": [WORK], "hold": True})
    assert api.call("POST", f"/v1/invoices/{draft['id']}/discard").status_code == 204
    api.bill("2026-11-01T00:00:00Z")
    (invoice,) = api.invoices()
    assert (invoice["status"], invoice["net"]) == ("issued", "100.00")


def test_an_invoice_is_written_by_hand_edited_and_issued(api: Api) -> None:
    """2.5 h x 80.00 and a discount of 20.00: 180.00, with 20 % VAT 216.00; a prepaid balance of 16.00 pays a part."""
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api)
    api.post("/v1/credit-grants", {"tenant": "acme", "kind": "prepaid", "amount": "16"})
    discount = {"description": "Discount", "quantity": "-1", "unit_price": "20", "tax": "standard"}
    body = {"buyer": "acme", "lines": [WORK, discount], "note": "Thank you", "purchase_order": "PO-9",
            "period": {"start": "2026-11-02", "end": "2026-11-04"}}  # fmt: skip
    answers = [api.call("POST", "/v1/invoices", body, headers={"Idempotency-Key": "w-1"}) for _ in range(2)]
    draft = answers[0].json()

    assert [answer.status_code for answer in answers] == [201, 200]
    assert draft == answers[1].json()
    assert answers[0].headers["location"] == f"/v1/invoices/{draft['id']}"
    assert (draft["status"], draft["net"], draft["total"], draft["seller"]) == ("draft", "180.00", "216.00", "garage")
    assert draft["period"] == {"start": "2026-11-01T23:00:00Z", "end": "2026-11-03T23:00:00Z"}
    other = api.call("POST", "/v1/invoices", body | {"note": "x"}, headers={"Idempotency-Key": "w-1"})
    assert other.status_code == 409
    edited = patch(api, draft, {"lines": [WORK], "due_date": "2026-12-31"}).json()
    assert (edited["net"], edited["note"]) == ("200.00", "Thank you")
    invoice = issued(api, draft).json()
    assert (invoice["number"], invoice["total"], invoice["paid"], invoice["due_date"]) == (
        "2026-000001", "240.00", "16.00", "2026-12-31",
    )  # fmt: skip
    note = api.post(f"/v1/invoices/{invoice['id']}/credit-notes", {"reason": "half a day", "reissue": True})
    assert (note["total"], note["reissued"]["total"], note["reissued"]["paid"]) == ("240.00", "240.00", "16.00")
    for format in ("pdf", "csv"):
        assert api.call("GET", f"/v1/invoices/{invoice['id']}.{format}").status_code == 200
    assert api.call("GET", f"/v1/invoices/{invoice['id']}/lines/ln_1/explanation").status_code == 409
    assert api.get(f"/v1/invoices/{invoice['id']}/lines/ln_1/events")["data"] == []
    check_books(api)


def test_a_written_invoice_may_be_issued_at_once(api: Api) -> None:
    api.put("/v1/tax-rates/standard", RATE)
    set_up(api)
    made = api.post("/v1/invoices", {"buyer": "acme", "lines": [WORK], "issue": True})
    assert (made["status"], made["number"], made["due_date"]) == ("issued", "2026-000001", "2026-12-23")
    for body, pointer in (
        ({"buyer": "nobody"}, "#/buyer"), ({"buyer": "garage"}, "#/buyer"), ({"lines": []}, "#/lines"),
        ({"lines": [WORK | {"tax": "none"}]}, "#/lines/0/tax"), ({"currency": "USD"}, "#/currency"),
        ({"lines": [WORK | {"unit_price": "-1"}]}, "#/lines/0/unit_price"),
        ({"lines": [WORK | {"quantity": "-1"}]}, "#/lines"),
        ({"lines": [WORK | {"quantity": "0"}]}, "#/lines/0/quantity"),
        ({"period": {"start": "2026-11-02", "end": "2026-11-02"}}, "#/period/end"), ({"seller": "no"}, "#/seller"),
    ):  # fmt: skip
        answer = api.call("POST", "/v1/invoices", {"buyer": "acme", "lines": [WORK]} | body)
        assert answer.status_code == 422, answer.text
        assert pointer in [item["pointer"] for item in answer.json()["errors"]], answer.text
    check_books(api)


def test_every_route_that_changes_something_leaves_an_issued_document_as_it_is(api: Api) -> None:
    """Every route of one document that is no GET, with whatever body it takes: what was fixed at issue stays."""
    draft = drafted(api)
    invoice = issued(api, draft).json()
    outside = {"paid", "credited", "due", "overdue"}
    fixed = {name: value for name, value in invoice.items() if name not in outside}
    paths = api.call("GET", "/openapi.json").json()["paths"]
    bodies = [None, {}, {"note": "x"}, {"reason": "x"}, {"lines": [WORK]}, {"hold": True}, {"amount": "1"},
              {"reason": "x", "reissue": True}]  # fmt: skip
    tried = 0
    for path, operations in paths.items():
        if not path.startswith("/v1/invoices/{id}"):
            continue
        for method in operations.keys() - {"get", "head", "parameters"}:
            for body in bodies:
                address = path.replace("{id}", invoice["id"]).replace("{line}", "ln_1").replace("{format}", "pdf")
                api.call(method.upper(), address, body)
                tried += 1
                now = api.get(f"/v1/invoices/{invoice['id']}")
                assert {name: now[name] for name in fixed} == fixed, f"{method} {path} with {body}"
    assert tried >= 5 * len(bodies)
    check_books(api)
