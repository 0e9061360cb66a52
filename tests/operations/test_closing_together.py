"""Several instants are closed in one transaction: what one of them meets concerns the others in nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from app.domain.errors import CannotBill
from app.operations import run_billing
from app.operations.close_period import close_period
from app.storage.database import Database
from tests.scenarios.test_credit import cancel, check_books, use
from tests.service import ACME, PER_UNIT, Api, service, set_up

PER_SESSION = {"key": "sessions", "meter": "sessions", "model": {"type": "per_unit", "unit_price": "1.00"}}
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


def test_a_number_that_an_error_gave_back_is_given_to_the_next(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first document of the transaction has a number when its closing is refused: the second has that number, and
    is the first of the chain."""
    stock(api)

    def refusing(connection: Any, *args: Any, **options: Any) -> Any:
        made = close_period(connection, *args, **options)
        if any(item.invoice.buyer.key == "acme" for item in made.documents):
            raise CannotBill("not today")
        return made

    monkeypatch.setattr(run_billing, "close_period", refusing)
    run = api.bill("2026-10-01T00:00:00Z")
    assert run["failures"][0]["detail"] == "not today"
    assert issued(api) == [("cedar", "2026-000001")]
    check_books(api)


def test_money_that_one_document_gives_back_pays_the_next_of_the_same_tenant(api: Api) -> None:
    """Two subscriptions, October is paid. 40 of 100 kWh are cancelled: with November the first has a credit note of
    12.00, which goes back on account, and the second, closed in the same transaction, is paid with it."""
    set_up(api, [PER_UNIT], start="2026-10-01")
    api.put("/v1/plans/visits", MONTHLY | {"name": "Visits", "charges": [PER_SESSION]})
    api.post("/v1/plans/visits/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    api.put("/v1/subscriptions/acme-2", {"tenant": "acme", "plan": "visits", "start": "2026-10-01"})
    use(api, "1", "60", "2026-10-05T10:00:00Z")
    use(api, "2", "40", "2026-10-06T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/payments", {"tenant": "acme", "amount": "32.00", "currency": "EUR"})
    cancel(api, "2")
    api.clock.set("2026-12-05T12:00:00+00:00")
    use(api, "3", "10", "2026-11-05T10:00:00Z")
    api.bill("2026-12-01T00:00:00Z")

    made = [(item["type"], item["total"], item["paid"]) for item in api.invoices()][2:]
    assert made == [
        ("invoice", "3.00", "0.00"), ("credit_note", "12.00", "0.00"), ("invoice", "1.00", "1.00"),
        ("credit_note", "1.00", "0.00"),
    ]  # fmt: skip
    check_books(api)


def test_what_many_have_in_common_is_asked_for_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing 24 subscriptions takes less than 12 statements for each, those of the run itself included."""
    monkeypatch.setattr(run_billing, "_FIRST_TOGETHER", 24)
    monkeypatch.setattr(run_billing, "_LONGEST_TOGETHER_SECONDS", 60)
    with service(database_url) as api:
        set_up(api, [PER_UNIT, PER_SESSION])
        for number in range(23):
            api.put(f"/v1/tenants/t{number}", {**ACME, "subjects": []})
            body = {"tenant": f"t{number}", "plan": "standard", "start": "2026-09-01"}
            api.put(f"/v1/subscriptions/t{number}-1", body)
    database, now = Database.open(database_url), datetime(2026, 11, 23, tzinfo=UTC)
    statements: list[str] = []
    sa.event.listen(
        database.engine, "before_cursor_execute", lambda _connection, _cursor, text, *_: statements.append(text)
    )
    try:
        for month in (10, 11):
            statements.clear()
            through = datetime(2026, month, 1, tzinfo=UTC)
            run, _ = run_billing.start_billing_run(database, through=through, issue=True, dry_run=False, now=now)
            done = run_billing.run_billing(
                database, run.run_id, clock=lambda: now, terms_days=30, keep_going=lambda: True
            )
            assert done is not None and done.closed == 24
            assert len(statements) < 12 * 24
    finally:
        database.close()
