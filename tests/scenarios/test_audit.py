"""The audit names the row that somebody changed behind the service's back."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from app.operations.audit_books import audit_books
from app.storage.database import Database
from tests.service import PER_UNIT, Api, event, set_up


@pytest.fixture
def books(api: Api) -> Database:
    """10 + 5 kWh in September, billed; 4 late, billed with October; 5 cancelled: credit notes on both documents."""
    set_up(api, [PER_UNIT, {"key": "access", "model": {"type": "flat", "amount": "9.99"}}], start="2026-09-01")

    def use(id: str, kwh: str, time: str) -> None:
        api.post("/v1/events", [event(id, time=time, data={"kwh": kwh, "station": "12"})])

    use("1", "10", "2026-09-10T10:00:00Z")
    use("2", "5", "2026-09-11T10:00:00Z")
    api.bill("2026-10-01T00:00:00Z")
    use("3", "4", "2026-09-12T10:00:00Z")
    api.bill("2026-11-01T00:00:00Z")
    api.post("/v1/events/cancellations", {"tenant": "acme", "source": "/chargers/12", "id": "2", "reason": "fault"})
    api.bill("2026-11-01T00:00:00Z")
    return api.client.app.state.database  # type: ignore[attr-defined,no-any-return]


def tamper(database: Database, statement: str) -> None:
    def work(connection: Any) -> None:
        assert connection.execute(sa.text(statement)).rowcount >= 1

    database.write(work)


def found(api: Api, database: Database) -> list[tuple[str, str, dict[str, str]]]:
    audit = audit_books(database, now=api.clock())
    return [(item.table, item.what, item.row) for item in audit.differences]


def test_untouched_books_are_clean(api: Api, books: Database) -> None:
    audit = audit_books(books, now=api.clock())
    assert (audit.events, audit.documents, audit.differences) == (3, 4, [])


TEN = {"start": "2026-09-10T10:00:00Z"}
FIRST, SECOND, THIRD = ({"number": f"2026-00000{n}"} for n in (1, 2, 3))
OF_TEN = "WHERE CAST(sum AS TEXT) = '10'"
OF_15 = "WHERE CAST(quantity AS TEXT) = '15'"
OF_SECOND = "WHERE number = '2026-000002'"


@pytest.mark.parametrize(
    ("statement", "table", "named"),
    [
        (f"UPDATE buckets SET sum = 11 {OF_TEN}", "buckets", TEN),
        (f"UPDATE invoice_lines SET mark = '' {OF_15}", "invoice_lines", FIRST | {"line": "ln_1"}),
        (f"UPDATE buckets SET count = count + 1 {OF_TEN}", "buckets", TEN),
        (f"DELETE FROM buckets {OF_TEN}", "buckets", TEN),
        ("UPDATE events SET data = replace(data, '10', '1') WHERE id = '1'", "events", {"id": "1"}),
        ("UPDATE events SET data = 'no json' WHERE id = '1'", "events", {"id": "1"}),
        ("UPDATE events SET id = '9' WHERE id = '1'", "events", {"id": "9"}),
        ("UPDATE events SET subject = 'user-17' WHERE id = '1'", "events", {"id": "1"}),
        ("DELETE FROM events WHERE id = '1'", "buckets", TEN),
        (f"UPDATE invoice_lines SET amount = 4 {OF_15}", "invoice_lines", {"line": "ln_1"} | FIRST),
        ("UPDATE invoice_lines SET description = 'x' WHERE kind = 'credit'", "invoice_lines", THIRD),
        (f"UPDATE invoice_lines SET quantity = 16 {OF_15}", "invoice_lines", FIRST),
        (f"UPDATE invoice_lines SET trace = replace(trace, '\"15\"', '\"16\"') {OF_15}", "invoice_lines", FIRST),
        (f"UPDATE invoices SET total = 1 {OF_SECOND}", "invoices", SECOND),
        (f"UPDATE invoices SET buyer = replace(buyer, 'Acme', 'Akme') {OF_SECOND}", "invoices", SECOND),
        (f"UPDATE invoices SET number = '2026-000007' {OF_SECOND}", "invoices", {"number": "2026-000007"}),
        (f"UPDATE invoices SET hash = 'x' {OF_SECOND}", "invoices", SECOND),
        (f"UPDATE invoices SET purchase_order = '4711' {OF_SECOND}", "invoices", SECOND),
        (f"UPDATE invoices SET details = '{{\"cost_centre\": \"1\"}}' {OF_SECOND}", "invoices", SECOND),
        (f"UPDATE invoice_lines SET details = '{{\"supply\": \"goods\"}}' {OF_15}", "invoice_lines", FIRST),
        ("UPDATE number_stems SET sequence = sequence - 1", "number_stems", {"seller": "garage", "stem": "2026-"}),
        ("DELETE FROM number_stems", "number_stems", {"seller": "garage", "stem": "2026-"}),
        *(
            (statement, "number_series", {"seller": "garage"})
            for statement in (
                "UPDATE number_series SET total = total + 1", "UPDATE number_series SET sequence = sequence - 1",
                "UPDATE number_series SET year = year - 1", "UPDATE number_series SET last_issued_at = NULL",
                "DELETE FROM number_series",
            )
        ),
    ],
)  # fmt: skip
def test_a_changed_row_is_named(api: Api, books: Database, statement: str, table: str, named: dict[str, str]) -> None:
    tamper(books, statement)
    differences = found(api, books)
    assert any(name == table and named.items() <= row.items() for name, _, row in differences), differences


def test_a_deleted_document_leaves_a_gap_that_is_named(api: Api, books: Database) -> None:
    gone = "WHERE invoice_id = (SELECT invoice_id FROM invoices WHERE number = '2026-000002')"

    def work(connection: Any) -> None:
        for table in ("invoice_lines", "invoice_files", "invoices"):
            connection.execute(sa.text(f"DELETE FROM {table} {gone}"))

    books.write(work)
    assert ("invoices", "sequence") in {(table, what) for table, what, _ in found(api, books)}
