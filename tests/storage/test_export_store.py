"""Issued documents in order of issue: whole, once, and read from an index whatever they are filtered by."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.engine import Connection

from app.domain.exports import ExportFilter, period_fits
from app.domain.ids import new_id
from app.domain.invoices import InvoiceType
from app.domain.periods import Period
from app.storage import accounting_store, export_store
from app.storage.database import Database
from app.storage.invoice_store import StoredInvoice
from app.storage.tables import invoices, tenants
from tests.storage.test_lists import check_plans

START = datetime(2026, 11, 1, tzinfo=UTC)
TENANTS = [UUID(int=number << 64) for number in range(1, 6)]
SELLERS = TENANTS[:2]
TYPES: tuple[InvoiceType | None, ...] = (None, "credit_note")
FILTERS = [
    ExportFilter(issued_from, issued_to, type=type_, seller_id=seller, buyer_id=buyer, party_id=party, visible_to=bound)
    for issued_from, issued_to, type_, (seller, buyer, party, bound) in itertools.product(
        (None, START + timedelta(minutes=2)), (None, START + timedelta(minutes=4)), TYPES,
        (
            (None, None, None, None), (SELLERS[0], None, None, None), (None, TENANTS[3], None, None),
            (SELLERS[1], TENANTS[3], None, None), (None, None, TENANTS[1], None), (None, None, None, TENANTS[1]),
            (SELLERS[0], None, None, TENANTS[1]), (None, None, TENANTS[0], TENANTS[1]),
        ),
    )
]  # fmt: skip


def row(chance: random.Random, number: int) -> dict[str, Any]:
    seller = chance.choice(SELLERS)
    is_issued = number % 10 != 0
    return {
        "tenant_id": chance.choice([id for id in TENANTS if id != seller]), "invoice_id": new_id(),
        "type": chance.choice(("invoice", "invoice", "credit_note")), "status": "issued" if is_issued else "draft",
        "seller_id": seller, "seller": '{"key": "s", "name": "S", "address": null}',
        "buyer": '{"key": "b", "name": "B", "address": null}', "currency": chance.choice(("EUR", "USD")),
        "language": "en", "time_zone": "Europe/Paris", "period_start": START - timedelta(days=31),
        "period_end": START, "net": Decimal(number), "tax": "[]", "total": Decimal(number),
        "series": "main" if is_issued else "", "number": str(number), "sequence": number if is_issued else None,
        # Many at one instant, as a billing run issues them.
        "issued_at": START + timedelta(minutes=number // 40) if is_issued else None, "hash": "", "previous_hash": "",
        "subscription_id": UUID(int=7), "billing_at": START + timedelta(seconds=number), "slot": "",
        "references": "[]", "created_at": START,
    }  # fmt: skip


@pytest.fixture
def kept(database: Database) -> list[dict[str, Any]]:
    """240 documents of two sellers to five tenants, 216 of them issued, forty in a minute."""
    chance = random.Random(5)
    rows = [row(chance, number) for number in range(1, 241)]

    def keep(connection: Connection) -> None:
        no_text = dict.fromkeys(("name", "currency", "time_zone", "language", "legal"), "")
        connection.execute(
            tenants.insert(), [{"tenant_id": key, "key": key.hex, "operator": False} | no_text for key in TENANTS]
        )
        connection.execute(invoices.insert(), rows)

    database.write(keep)
    return rows


def is_wanted(row: dict[str, Any], wanted: ExportFilter) -> bool:
    sides = (row["tenant_id"], row["seller_id"])
    return (
        row["status"] == "issued"
        and (wanted.issued_from is None or row["issued_at"] >= wanted.issued_from)
        and (wanted.issued_to is None or row["issued_at"] < wanted.issued_to)
        and wanted.type in (None, row["type"])
        and wanted.currency in (None, row["currency"])
        and wanted.seller_id in (None, row["seller_id"])
        and wanted.buyer_id in (None, row["tenant_id"])
        and all(id is None or id in sides for id in (wanted.party_id, wanted.visible_to))
    )


def walk(database: Database, wanted: ExportFilter, *, limit: int) -> list[StoredInvoice]:
    found: list[StoredInvoice] = []
    while True:
        after = export_store.place_of(found[-1]) if found else None
        page = database.read(
            lambda connection, after=after: export_store.issued_page(connection, wanted, after=after, limit=limit)  # type: ignore[misc]
        )
        found += page
        if len(page) < limit:
            return found


def test_every_issued_document_is_exported_once_and_in_order_of_issue(
    database: Database, kept: list[dict[str, Any]]
) -> None:
    for wanted in [*FILTERS, ExportFilter(currency="USD")]:
        expected = sorted(
            (row["issued_at"], row["sequence"], row["invoice_id"]) for row in kept if is_wanted(row, wanted)
        )
        assert [export_store.place_of(item) for item in walk(database, wanted, limit=17)] == expected, wanted
        counted = database.read(lambda connection, wanted=wanted: export_store.count_issued(connection, wanted))  # type: ignore[misc]
        assert counted >= len(expected)


def test_a_page_of_documents_is_read_in_the_order_of_an_index(database: Database, kept: list[dict[str, Any]]) -> None:
    after = (START + timedelta(minutes=3), 130, UUID(int=1))
    for wanted, place in itertools.product(FILTERS, (None, after)):
        check_plans(
            database, "invoices",
            lambda wanted=wanted, place=place: database.read(  # type: ignore[misc]
                lambda connection: export_store.issued_page(connection, wanted, after=place, limit=7)
            ),
        )  # fmt: skip


def test_what_balance_paid_is_read_in_the_order_of_the_books(database: Database, kept: list[dict[str, Any]]) -> None:
    """From an index over all ledgers: nothing is walked through or sorted."""
    for start, after in itertools.product((None, START), (None, (START, TENANTS[1], 3))):
        check_plans(
            database, "credit_entries",
            lambda start=start, after=after: database.read(  # type: ignore[misc]
                lambda connection: accounting_store.balance_moves(
                    connection, SELLERS[0], start=start, end=None, after=after, limit=7
                )
            ),
        )  # fmt: skip


def test_payments_and_their_ledgers_are_read_in_the_order_of_the_books(
    database: Database, kept: list[dict[str, Any]]
) -> None:
    for start, after in itertools.product((None, START.date()), (None, (START.date(), TENANTS[1]))):
        for table, ask, place in (
            ("payments", accounting_store.payments_page, after and (*after, TENANTS[2])),
            ("payment_entries", accounting_store.ledger_page, after and (*after, 3)),
        ):
            check_plans(
                database, table,
                lambda ask=ask, start=start, place=place: database.read(  # type: ignore[misc]
                    lambda connection: ask(
                        connection, SELLERS[0], "EUR", start=start, end=None, after=place, limit=7
                    )
                ),
            )  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "start", "end", "fits"),
    [
        ("Europe/Paris", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z", True),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-12-01T05:00:00Z", True),
        ("Asia/Kolkata", "2026-10-31T18:30:00Z", "2026-11-30T18:30:00Z", True),
        ("UTC", "2026-10-31T23:00:00Z", "2026-11-30T23:00:00Z", False),
        ("Europe/Paris", "2026-10-31T23:00:00Z", "2026-12-01T00:00:00Z", False),
    ],
)
def test_the_dates_of_a_period_are_those_of_the_documents_own_zone(zone: str, start: str, end: str, fits: bool) -> None:
    """November is a month of its own in Paris, New York and Kolkata; 23:00 of 31 October is not in it in UTC."""
    wanted = ExportFilter(period_start=date(2026, 11, 1), period_end=date(2026, 12, 1))
    assert period_fits(Period(datetime.fromisoformat(start), datetime.fromisoformat(end)), zone, wanted) is fits
