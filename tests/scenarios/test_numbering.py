"""Numbers by a seller's patterns, in one series or several, from issue to audit."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations.audit_books import audit_books
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
