"""Several instants are closed in one transaction: what one of them meets concerns the others in nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.operations import run_billing
from app.operations.close_period import close_period
from tests.service import ACME, PER_UNIT, Api, service, set_up

MONTHLY = {"currency": "EUR", "interval": "month", "anchor": "calendar"}


@pytest.fixture
def api(database_url: str) -> Any:
    with service(database_url) as running:
        yield running


def stock(api: Api) -> None:
    """Three tenants; the second is on a plan whose tax rate comes into force in 2030 only."""
    set_up(api, [PER_UNIT], start="2026-09-01")
    api.put("/v1/tax-rates/later", {"category": "S", "rate": "20", "country": "FR", "start": "2030-01-01"})
    api.put("/v1/plans/taxed", MONTHLY | {"name": "Taxed", "charges": [PER_UNIT | {"tax": "later"}]})
    api.post("/v1/plans/taxed/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    for key, plan in (("birch", "taxed"), ("cedar", "standard")):
        api.put(f"/v1/tenants/{key}", {**ACME, "name": key.title(), "subjects": []})
        api.put(f"/v1/subscriptions/{key}-1", {"tenant": key, "plan": plan, "start": "2026-09-01"})


def issued(api: Api) -> list[tuple[str, str]]:
    return [(item["buyer"], item["number"]) for item in api.invoices()]


def test_one_that_cannot_be_billed_takes_no_number_and_stops_nobody_else(api: Api) -> None:
    stock(api)
    run = api.bill("2026-11-01T00:00:00Z")
    assert (run["periods_due"], run["closed"], run["failed"]) == (6, 4, 2)
    details = [(item["tenant"], item["detail"]) for item in run["failures"]]
    assert details == [
        ("birch", "The tax rate later is in force from 2030-01-01 only."),
        ("birch", "an earlier period of this subscription failed"),
    ]
    assert issued(api) == [
        ("acme", "2026-000001"), ("cedar", "2026-000002"), ("acme", "2026-000003"), ("cedar", "2026-000004"),
    ]  # fmt: skip


def test_an_error_that_nobody_foresaw_is_one_subscriptions_only(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they fail; alone, the others are closed, and the number that it took is given back."""
    stock(api)

    def broken(connection: Any, *args: Any, **options: Any) -> Any:
        made = close_period(connection, *args, **options)
        if any(item.invoice.buyer.key == "acme" for item in made.documents):
            raise RuntimeError("a bug")
        return made

    monkeypatch.setattr(run_billing, "close_period", broken)
    run = api.bill("2026-10-01T00:00:00Z")
    assert (run["closed"], run["failed"]) == (1, 2)
    assert [item["tenant"] for item in run["failures"]] == ["acme", "birch"]
    assert run["failures"][0]["detail"] == "unexpected error; it was logged"
    assert issued(api) == [("cedar", "2026-000001")]


def test_a_transaction_that_lasts_ends_early_and_the_next_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_billing, "_LONGEST_TOGETHER_SECONDS", -1)
    stock(api)
    assert api.bill("2026-11-01T00:00:00Z")["closed"] == 4
    assert [number for _, number in issued(api)] == [f"2026-00000{number}" for number in (1, 2, 3, 4)]
