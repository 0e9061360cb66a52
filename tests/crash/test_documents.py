"""Many processes that write, issue, pay and credit documents at once, and are killed while they do: no number is
missing or given twice, nothing is made twice, nothing is credited beyond what was billed, and the chain is whole."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from app.domain.credit_notes import CreditWish
from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.invoices import content_hash
from app.operations.credit_invoice import credit_invoice
from app.operations.record_payment import record_invoice_payment
from app.operations.settle_draft import issue_one
from app.operations.write_invoice import write_invoice
from app.storage import invoice_store
from app.storage.database import Database
from app.storage.invoice_store import InvoiceFilter, StoredInvoice
from app.storage.tables import invoices, payments
from app.wire.drafts import invoice_from_wire
from app.wire.payments import invoice_payment_from_wire
from tests.crash.running import BOUND_SECONDS, assert_books_are_clean, command, started, utc_now, wait_until
from tests.crash.test_closing import World

PROCESSES, ROUNDS, KILLS = 8, 4, 12
CENT = Decimal("0.01")
T = TypeVar("T")


def work(database_url: str, number: int, log: str) -> None:
    """What one process does: the same from the beginning whenever it is started again, with the same keys."""
    database = Database.open(database_url)
    rng = random.Random(number)
    try:
        shared = _issued_of_subscriptions(database)[0]
        for round in range(ROUNDS):
            key = f"{number}-{round}"
            body = {"buyer": f"company-{number % 3}", "issue": True, "note": key, "lines": [
                {"description": "Work", "quantity": str(1 + (number + round) % 8), "unit_price": "12.34"}]}  # fmt: skip
            own = _insist(lambda: write_invoice(
                database, invoice_from_wire(body), idempotency_key=key, now=utc_now(), terms_days=30  # noqa: B023
            )).document  # fmt: skip
            for stored, paid in ((own, "1.00"), (shared, "0.01")):
                _pay(database, stored, key=f"{key}-{paid}", amount=paid)
            for stored, amount in ((own, Decimal("1.11")), (shared, CENT), (own, None)):
                _credit(database, stored, key=f"{key}-{amount}", amount=amount)
            _issue_some(database, rng)
    finally:
        database.close()
    Path(log).write_text("done")


def _insist(act: Callable[[], T]) -> T:
    """A client that sends again what could not be answered."""
    while True:
        try:
            return act()
        except Unavailable:
            continue


def _credit(database: Database, stored: StoredInvoice, *, key: str, amount: Decimal | None) -> None:
    wish = CreditWish("a test", amount=amount)
    _insist(
        lambda: credit_invoice(database, stored, wish, idempotency_key=key, now=utc_now(), terms_days=30)
    )  # fmt: skip


def _pay(database: Database, stored: StoredInvoice, *, key: str, amount: str) -> None:
    wish = invoice_payment_from_wire({"amount": amount, "method": "transfer"})
    _insist(lambda: record_invoice_payment(database, stored, wish, idempotency_key=key, now=utc_now()))


def _issue_some(database: Database, rng: random.Random) -> None:
    """Tries to issue three drafts; others may have done so, or an earlier one comes first."""
    drafts = _listed(database, "draft")
    for draft in rng.sample(drafts, min(3, len(drafts))):
        try:
            issue_one(database, draft, check=lambda _: None, now=utc_now(), terms_days=30)
        except (Conflict, NotFound, Unavailable):
            continue


def _listed(database: Database, status: str) -> list[StoredInvoice]:
    wanted = InvoiceFilter(status=status)
    return database.read(lambda connection: invoice_store.listing(connection, wanted, after=None, limit=10_000))


def _issued_of_subscriptions(database: Database) -> list[StoredInvoice]:
    return [one for one in _listed(database, "issued") if one.invoice.lines[0].is_rated]


def test_eight_processes_that_are_killed_leave_no_gap_no_double_and_clean_books(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """Eight processes write, issue, pay and credit, twelve times one is killed, and each begins again until it has done
    all: every request was answered once, whatever was killed in between."""
    world = World(database, companies=3)
    world.use(random.Random(1), 60, months=range(1, 7))
    for month, flag in ((1, "--issue"), (6, "--no-issue")):
        process = command(database_url, ["close", "--through", f"2026-{month + 1:02}-01", flag], tmp_path / "close.log")
        process.join(BOUND_SECONDS)
        assert process.exitcode == 0, (tmp_path / "close.log").read_text()
    rng = random.Random(7)
    logs = [str(tmp_path / f"work-{number}.log") for number in range(PROCESSES)]
    running = {n: started(work, database_url, n, logs[n]) for n in range(PROCESSES)}
    killed = 0
    for _ in range(KILLS):
        before = len(_listed(database, "issued"))
        more = rng.randrange(1, 6)
        wait_until(
            lambda: (
                len(_listed(database, "issued")) >= before + more  # noqa: B023
                or not any(one.is_alive() for one in running.values())
            ),
            "documents to be issued",
        )
        number = rng.choice(sorted(running))
        running[number].kill()
        running[number].join()
        killed += running[number].exitcode != 0
        running[number] = started(work, database_url, number, logs[number])
    for process in running.values():
        process.join(BOUND_SECONDS)
    assert {process.exitcode for process in running.values()} == {0}
    assert killed, "one at least had not come to its end"

    documents = world.documents()
    assert [one.number for one in documents] == [f"2026-{n:06}" for n in range(1, len(documents) + 1)]
    assert [one.previous_hash for one in documents] == ["", *(one.hash for one in documents)][:-1]
    assert all(content_hash(one) == one.hash for one in documents)
    written = Counter(one.remarks.note for one in documents if one.type == "invoice" and one.remarks.note)
    assert written == {f"{n}-{round}": 1 for n in range(PROCESSES) for round in range(ROUNDS)}
    shared = _issued_of_subscriptions(database)[0]
    assert (shared.invoice.credited, shared.invoice.paid) == (PROCESSES * ROUNDS * CENT,) * 2
    assert database.read(_count_of_payments) == PROCESSES * ROUNDS * 2
    for one in documents:
        if one.remarks.note:
            assert (one.credited, len(_notes_on(database, one.id))) == (one.total, 2)
    places = database.read(
        lambda connection: connection.execute(
            sa.select(invoices.c.subscription_id, invoices.c.billing_at, sa.func.count())
            .where(invoices.c.slot == "", invoices.c.type == "invoice")
            .group_by(invoices.c.subscription_id, invoices.c.billing_at)
        ).all()
    )
    assert {row[2] for row in places} == {1}, "one invoice for each billing instant"
    assert_books_are_clean(database)


def _count_of_payments(connection: sa.Connection) -> int:
    found: int = connection.execute(sa.select(sa.func.count()).select_from(payments)).scalar_one()
    return found


def _notes_on(database: Database, id: str) -> list[StoredInvoice]:
    cited = [(one, one.invoice.references) for one in _listed(database, "issued")]
    return [one for one, references in cited if references and references[0].invoice_id == id]
