"""Numbers by a seller's patterns, in one series or several, from issue to audit."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.operations.audit_books import audit_books
from app.storage import migrate
from tests.service import OPERATOR, PER_UNIT, Api, event, set_up

MONTHS = ("2026-10-01", "2026-11-01", "2026-12-01", "2027-01-01", "2027-02-01")


def seller(api: Api, **numbering: str) -> None:
    api.put("/v1/tenants/garage", OPERATOR | ({"numbering": numbering} if numbering else {}))


def bill(api: Api, month: str) -> list[str]:
    """The numbers that the run of the first of the month gives, on the second."""
    api.clock.set(f"{month[:8]}02T12:00:00+00:00")
    before = {one["id"] for one in api.invoices(status="issued")}
    run = api.bill(f"{month}T00:00:00Z")
    assert run["failures"] == []
    return [one["number"] for one in api.invoices(status="issued") if one["id"] not in before]


def clean(api: Api) -> list[Any]:
    database = api.client.app.state.database  # type: ignore[attr-defined]
    return audit_books(database, now=api.clock()).differences


def test_a_pattern_may_change_in_mid_year_and_change_back(api: Api) -> None:
    """One document a month: three patterns, a new year, and every stem counts on where it was."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    seller(api)
    numbers = bill(api, MONTHS[0])
    seller(api, pattern="F{year}/{month}/{seq:03}")
    numbers += bill(api, MONTHS[1])
    seller(api)
    numbers += bill(api, MONTHS[2])
    numbers += bill(api, MONTHS[3])
    seller(api, pattern="{year}-{seq:03}")
    numbers += bill(api, MONTHS[4])
    assert numbers == ["2026-000001", "F2026/11/001", "2026-000002", "2027-000001", "2027-002"]
    assert [one["previous_hash"] for one in api.invoices()][1:] == [one["hash"] for one in api.invoices()][:-1]
    assert clean(api) == []


def test_types_may_have_series_of_their_own_each_with_its_chain(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-09-01")
    seller(api, pattern="F{year}-{seq:06}", credit_note="A{year}-{seq:06}")
    assert api.get("/v1/tenants/garage")["numbering"] == {
        "pattern": "F{year}-{seq:06}",
        "credit_note": "A{year}-{seq:06}",
    }
    for number in (1, 2):
        api.post("/v1/events", [event(f"s-{number}", time=f"2026-09-0{number}T10:00:00Z")])
    assert bill(api, MONTHS[0]) == ["F2026-000001"]
    for number in (1, 2):
        api.post("/v1/events/cancellations",
                 {"tenant": "acme", "source": "/chargers/12", "id": f"s-{number}", "reason": "test"})  # fmt: skip
        numbers = bill(api, MONTHS[number])
        assert sorted(numbers) == [f"A2026-00000{number}", f"F2026-00000{number + 1}"]
    chains: dict[str, list[Any]] = {"A": [], "F": []}
    for one in sorted(api.invoices(status="issued"), key=lambda one: one["number"]):
        chains[one["number"][0]].append(one)
    for chain in chains.values():
        assert [one["previous_hash"] for one in chain] == [None, *(one["hash"] for one in chain[:-1])]
    assert clean(api) == []


def test_a_number_with_a_slash_is_found_and_its_file_has_a_plain_name(api: Api) -> None:
    set_up(api, [PER_UNIT], start="2026-09-01")
    seller(api, pattern="F/{year}/{seq:03}")
    assert bill(api, MONTHS[0]) == ["F/2026/001"]
    found = api.invoices(number="F/2026/001")[0]
    answer = api.call("GET", f"/v1/invoices/{found['id']}.csv")
    assert answer.headers["content-disposition"] == 'inline; filename="F-2026-001.csv"'


@pytest.mark.parametrize(
    ("numbering", "pointer"),
    [
        ({"pattern": "{year}{seq}"}, "#/numbering/pattern"),
        ({"pattern": "{seq} "}, "#/numbering/pattern"),
        ({"credit_note": "{year}-{seq}"}, "#/numbering/credit_note"),
        ({"receipt": "R{seq}"}, "#/numbering/receipt"),
    ],
)
def test_a_pattern_that_is_none_is_refused(api: Api, numbering: dict[str, str], pointer: str) -> None:
    answer = api.call("PUT", "/v1/tenants/garage", OPERATOR | {"numbering": numbering})
    assert answer.status_code == 422
    assert [item["pointer"] for item in answer.json()["errors"]] == [pointer]


def test_what_is_credited_in_a_series_of_its_own_is_credited_once(api: Api) -> None:
    """The third document bills two sessions; one is cancelled: the first note takes 2.17 of it back, and no later run
    does so again, though the note is the first of its series and the invoice the third."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    seller(api, pattern="F{year}-{seq:06}", credit_note="A{year}-{seq:06}")
    for number in (1, 2):
        api.post("/v1/events", [event(f"s-{number}", time=f"2026-11-0{number}T10:00:00Z")])
    for month in MONTHS[:3]:
        bill(api, month)
    api.post(
        "/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "s-1", "reason": "test"}
    )  # fmt: skip
    assert [bill(api, month) for month in MONTHS[3:]] == [["F2027-000001", "A2027-000001"], ["F2027-000002"]]
    assert [one["net"] for one in api.invoices(type="credit_note")] == ["2.17"]
    assert clean(api) == []


def test_what_another_seller_billed_is_not_billed_again(api: Api) -> None:
    """The garage hands its customers over to Nord, whose numbers begin anew: late use of October, which the garage
    billed with its second document, is billed by Nord's first, once."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    bill(api, MONTHS[0])
    bill(api, MONTHS[1])
    api.put("/v1/tenants/garage", OPERATOR | {"operator": False})
    api.put("/v1/tenants/nord", OPERATOR | {"name": "Nord"})
    api.post("/v1/events", [event("late", time="2026-10-05T10:00:00Z")])
    bill(api, MONTHS[2])
    bill(api, MONTHS[3])
    assert [(one["seller"], one["net"]) for one in api.invoices()] == [
        ("garage", "0.00"), ("garage", "0.00"), ("nord", "2.18"), ("nord", "0.00"),
    ]  # fmt: skip
    assert clean(api) == []


def test_documents_from_before_buyers_had_an_order_are_put_in_order(api: Api, database_url: str) -> None:
    """Two invoices, a note of a series of its own, and a cancelled invoice with the one that takes its place: each is
    where it was, and nothing is credited again."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    seller(api, pattern="F{year}-{seq:06}", credit_note="A{year}-{seq:06}")
    for number in (1, 2):
        api.post("/v1/events", [event(f"s-{number}", time=f"2026-10-0{number}T10:00:00Z")])
    bill(api, MONTHS[0])
    bill(api, MONTHS[1])
    second = api.invoices(number="F2026-000002")[0]
    wish = {"reason": "wrong address", "reopens_usage": True, "reissue": True}
    api.post(f"/v1/invoices/{second['id']}/credit-notes", wish)
    database = api.client.app.state.database  # type: ignore[attr-defined]
    query = sa.text("SELECT number, ordinal FROM invoices ORDER BY ordinal")
    before = database.read(lambda connection: [tuple(row) for row in connection.execute(query)])
    assert before == [("F2026-000001", 1), ("F2026-000002", 2), ("A2026-000001", 3), ("F2026-000003", 4)]
    migrate.downgrade(database_url, "0032")
    migrate.upgrade(database_url)
    assert database.read(lambda connection: [tuple(row) for row in connection.execute(query)]) == before
    bill(api, MONTHS[2])
    assert len(api.invoices(type="credit_note")) == 1
    assert clean(api) == []
