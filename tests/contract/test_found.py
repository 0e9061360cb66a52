"""What runs of test_contract.py found, kept as examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.requests import Request

from app.api import problems
from app.operations.authenticate import create_key
from tests.contract.running import NOW, seed
from tests.service import ENERGY, Api, service


@pytest.fixture
def api(sqlite_url: str) -> Iterator[Api]:
    seed(sqlite_url)
    with service(sqlite_url, NOW) as running:
        yield running


def faults(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 422, answer.text
    found: list[dict[str, str]] = answer.json()["errors"]
    return found


def test_a_misspelt_field_is_not_taken_away_without_a_word(api: Api) -> None:
    found = faults(api.call("PATCH", "/v1/tenants/acme", {"langauge": None}))

    assert found == [{"pointer": "#/langauge", "detail": "there is no such field"}]


def test_a_field_that_is_not_there_may_be_taken_away(api: Api) -> None:
    before = api.get("/v1/meters/sessions")

    assert "name" not in before
    assert api.call("PATCH", "/v1/meters/sessions", {"name": None}).json() == before


def test_a_whole_number_may_be_written_with_a_point(api: Api) -> None:
    """JSON has one kind of number: 2.0 is 2."""
    api.put("/v1/meters/energy", ENERGY | {"rounding": {"mode": "up", "scale": 2.0}})

    assert api.get("/v1/meters/energy")["rounding"] == {"mode": "up", "scale": 2}
    found = faults(api.call("PUT", "/v1/meters/energy", ENERGY | {"rounding": {"mode": "up", "scale": 2.5}}))
    assert found[0]["pointer"] == "#/rounding/scale"


def test_a_filter_that_cannot_be_read_is_refused_even_where_another_matches_nothing(api: Api) -> None:
    found = faults(api.call("GET", "/v1/invoices?seller=nobody&period_start=soon"))

    assert found[0]["pointer"] == "period_start"


def test_whoever_is_to_try_again_is_told_when() -> None:
    request = Request({"type": "http", "method": "GET", "path": "/readyz", "headers": [], "query_string": b""})

    assert problems.generic_problem(request, 503, "not-ready", "Not yet.").headers["retry-after"] == "1"


def test_a_bound_key_is_told_the_same_of_another_seller_and_of_none(api: Api) -> None:
    key = bound_key(api)

    for seller in ("garage", "nobody"):
        answer = api.call("POST", "/v1/billing-runs", {"through": "2026-02-01", "sellers": [seller]}, key=key)
        assert (answer.status_code, answer.json()["detail"]) == (404, "There is no such tenant.")


def bound_key(api: Api) -> str:
    database = api.client.app.state.database  # type: ignore[attr-defined]
    return create_key(database, scopes=("finance",), tenant="acme", now=api.clock())


def test_a_filter_under_two_names_is_refused_and_one_that_cannot_be_read_under_either(api: Api) -> None:
    for name in ("sales-journal.txt", "documents.csv"):
        asked = {"from": "2026-01-01", "issued_from": "2026-02-01"}
        (twice,) = faults(api.call("GET", f"/v1/exports/{name}", params=asked))
        assert twice == {"pointer": "issued_from", "detail": "issued_from is another name of from: send one of them"}
        (unreadable,) = faults(api.call("GET", f"/v1/exports/{name}", params={"to": "2026-02-01", "issued_to": "null"}))
        assert unreadable["pointer"] == "issued_to"


def test_a_filter_that_has_one_value_is_not_sent_twice(api: Api) -> None:
    found = faults(api.call("GET", "/v1/invoices?type=invoice&type=credit_note"))

    assert found == [{"pointer": "type", "detail": "type is sent 2 times; it has one value"}]
