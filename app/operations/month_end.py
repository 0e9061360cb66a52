"""What the books of a seller need at the end of a day beside the journal: use that is not invoiced yet (accrued), what
is invoiced in advance (deferred), VAT by when it is owed, and what buyers owe by age.

As of a day means: documents issued and payments made by its end, in the seller's zone; use and periods up to its end
in the zone of the buyer, whose bills are cut there. Which events there were is what is known now: late use of before
counts as soon as it is known. What was billed after the day is taken from those documents, so that the same day
answers the same before and after its periods are billed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.documents.month_end_table import COLUMNS, month_end_row
from app.documents.tables import Sheet, csv_chunks
from app.domain.accounting import ChartOfAccounts, Context
from app.domain.callers import Caller
from app.domain.errors import InvalidInput
from app.domain.exports import ExportFilter, signed
from app.domain.invoices import InvoiceLine
from app.domain.journal import awaiting_payment
from app.domain.money import ZERO
from app.domain.month_end import SECTIONS, MonthEndRow, Section, part_until
from app.domain.payments import less, split_paid
from app.domain.periods import Period, local_date, start_of_day
from app.domain.receivables import BUCKETS, Claim, aged
from app.domain.subscriptions import Subscription
from app.domain.tax import TaxRate
from app.domain.tenants import Tenant
from app.operations.billing_books import Books, books_of
from app.operations.correct_period import due_at
from app.operations.due_lines import instants_through, lines_due
from app.operations.export_filters import xlsx_chunks
from app.operations.journal_sources import Books as SellersBooks
from app.operations.journal_sources import (
    balance_moves,
    documents_issued,
    ledger_moves,
    paid_by_balance,
    payments_made,
    seller_of,
)
from app.operations.rate_period import meters_by_key, rate_again
from app.storage import claim_store, export_store, invoice_store, subscription_store, tenant_store
from app.storage.database import Database

_PAGE = 200
_FARTHEST = timedelta(days=366)
"""A day to come shows what is known of it so far."""


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """Whose month-end as of which day, and on which accounts; of one buyer where it is named."""

    seller: Tenant
    as_of: date
    chart: ChartOfAccounts
    now: datetime
    buyer: Tenant | None = None

    @property
    def issued_before(self) -> datetime:
        return self.end_in(ZoneInfo(self.seller.time_zone))

    @property
    def buyer_id(self) -> UUID | None:
        return None if self.buyer is None else self.buyer.tenant_id

    def end_in(self, zone: ZoneInfo) -> datetime:
        """The end of the day in a zone."""
        return start_of_day(self.as_of + timedelta(days=1), zone)


def open_month_end(
    database: Database, *, as_of: date | None, seller: str, buyer: str, caller: Caller, chart: ChartOfAccounts,
    now: datetime,
) -> MonthEnd:  # fmt: skip
    """Without a day that of today. Raises NotFound where there is no such seller or buyer, and InvalidInput for a day
    that lies too far ahead."""

    def work(connection: Connection) -> MonthEnd:
        found = seller_of(connection, seller, caller)
        today = local_date(now, ZoneInfo(found.time_zone))
        if as_of is not None and as_of > today + _FARTHEST:
            raise InvalidInput.at("as_of", f"as_of lies more than {_FARTHEST.days} days ahead: today is {today}")
        named = seller_of(connection, buyer, caller) if buyer else None
        return MonthEnd(found, as_of or today, chart, now, named)

    return database.read(work)


def month_end_rows(database: Database, wanted: MonthEnd, section: Section) -> Iterator[MonthEndRow]:
    """The rows of one section."""
    match section:
        case "accrued":
            return _accrued(database, wanted)
        case "deferred":
            return _deferred(database, wanted)
        case "vat":
            return _vat(database, wanted)
        case "aged":
            return _aged(database, wanted)


def month_end_chunks(rows_of: Callable[[Section], Iterable[MonthEndRow]], format: str) -> Iterator[bytes]:
    """The file: one table as CSV, a sheet for each section as XLSX."""
    if format == "xlsx":
        return xlsx_chunks(
            Sheet(section.capitalize(), COLUMNS, map(month_end_row, rows_of(section))) for section in SECTIONS
        )
    return csv_chunks(COLUMNS, (month_end_row(row) for section in SECTIONS for row in rows_of(section)))


# --- accrued ----------------------------------------------------------------------------------------------------------


def _accrued(database: Database, wanted: MonthEnd) -> Iterator[MonthEndRow]:
    after: str | None = None
    while True:
        place = after

        def read(connection: Connection, place: str | None = place) -> list[Subscription]:
            return subscription_store.list_subscriptions(
                connection, after=place, limit=_PAGE, tenant_id=wanted.buyer_id
            )

        page = database.read(read)
        for subscription in page:
            yield from database.read(
                lambda connection, subscription=subscription: _of_subscription(  # type: ignore[misc]
                    connection, wanted, subscription
                )
            )
        if len(page) < _PAGE:
            return
        after = page[-1].key


@dataclass
class _Sum:
    """What is accrued of one charge."""

    line: InvoiceLine
    start: datetime
    end: datetime
    amount: Decimal = ZERO


def _of_subscription(connection: Connection, wanted: MonthEnd, subscription: Subscription) -> list[MonthEndRow]:
    buyer = tenant_store.find_by_id(connection, subscription.tenant_id)
    assert buyer is not None, "a subscription is of a tenant"
    cut = wanted.end_in(ZoneInfo(buyer.time_zone))
    if subscription.start >= cut:
        return []
    books = replace(books_of(connection, subscription), until=min(cut, wanted.now))
    sums: dict[str, _Sum] = {}
    for line, amount in _earned(connection, wanted, books, cut):
        if amount:
            start, end = line.period.start, min(line.period.end, cut)
            own = sums.setdefault(line.charge, _Sum(line, start, end))
            own.amount += amount
            own.start, own.end = min(own.start, start), max(own.end, end)
    return [
        MonthEndRow(
            "accrued", "use", books.currency, own.amount, buyer.key, subscription.key, charge=charge,
            description=own.line.description, period=Period(own.start, own.end),
            tax_category=own.line.tax.category, tax_rate=own.line.tax.rate,
            account=wanted.chart.account("accrued", _context(own.line, buyer.key)),
        )
        for charge, own in sorted(sums.items())
        if own.amount
    ]  # fmt: skip


def _context(line: InvoiceLine, tenant: str) -> Context:
    return Context(tenant, line.trace.get("plan", ""), line.charge, line.supply or "service", line.tax)


def _earned(
    connection: Connection, wanted: MonthEnd, books: Books, cut: datetime
) -> Iterator[tuple[InvoiceLine, Decimal]]:
    """What was used until the cut and no document had billed by the end of the day: what documents billed since, and
    what is still to be billed."""
    subscription = books.subscription
    for stored in invoice_store.issued_of_subscription(
        connection, subscription.tenant_id, subscription.subscription_id
    ):
        issued_at = stored.invoice.issued_at
        if issued_at is None or issued_at < wanted.issued_before or stored.place.seller_id != wanted.seller.tenant_id:
            continue
        for line in stored.invoice.lines:
            if line.is_rated and line.subscription == subscription.key:
                yield line, signed(_until(connection, books, line, line.amount, cut), stored.invoice)
    if books.seller.tenant_id == wanted.seller.tenant_id:
        yield from _pending(connection, books, cut)


def _pending(connection: Connection, books: Books, cut: datetime) -> Iterator[tuple[InvoiceLine, Decimal]]:
    """What the next documents will have, as far as it was used until the cut."""
    known, new = instants_through(connection, books, cut)
    rows = [*known, *new]
    open_rows = [
        row
        for position, row in enumerate(rows)
        if row.status == "open" and (rows[position - 1].at if position else row.at) < cut
    ]
    for row in open_rows:
        lines, _ = lines_due(connection, books, rows, row)
        due = due_at(connection, books, lines, rows=rows, at=row.at)
        for line in (*due.lines, *due.late):
            yield line, _until(connection, books, line, line.amount, cut)
        for item in due.changes:
            yield item.billed.first, _until(connection, books, item.billed.first, item.change.amount, cut)
    if not open_rows:
        due = due_at(connection, books, [], rows=[row for row in rows if row.status != "open"], at=cut)
        for line in due.late:
            yield line, _until(connection, books, line, line.amount, cut)
        for item in due.changes:
            yield item.billed.first, _until(connection, books, item.billed.first, item.change.amount, cut)


def _until(connection: Connection, books: Books, line: InvoiceLine, amount: Decimal, cut: datetime) -> Decimal:
    """The part of the line's amount that was used until the cut: use as it was measured by then, anything else by
    days. Of use that runs on, what stands billed is nothing yet: its first line says all of it."""
    if line.period.end <= cut or line.period.start >= cut or line.trace.get("meter") is None:
        return part_until(amount, line.period, cut, books.zone, books.currency)
    if line.kind != "charge":
        return ZERO
    rated = rate_again(
        connection, line.trace, tenant_id=books.subscription.tenant_id, start=line.period.start, end=cut,
        meters=books.meters or meters_by_key(connection),
    )  # fmt: skip
    return rated.rated.amount


# --- deferred ---------------------------------------------------------------------------------------------------------


def _deferred(database: Database, wanted: MonthEnd) -> Iterator[MonthEndRow]:
    after: tuple[datetime, UUID, UUID, int] | None = None
    # A day ends in the first zone half a day before it does in UTC.
    earliest = start_of_day(wanted.as_of + timedelta(days=1), ZoneInfo("UTC")) - timedelta(hours=14)
    while True:
        place = after

        def read(
            connection: Connection, place: tuple[datetime, UUID, UUID, int] | None = place
        ) -> list[export_store.LineBeyond]:
            return export_store.lines_beyond(
                connection, wanted.seller.tenant_id, ends_after=earliest, issued_before=wanted.issued_before,
                after=place, limit=_PAGE,
            )  # fmt: skip

        page = database.read(read)
        for line in page:
            zone = ZoneInfo(line.time_zone)
            rest = line.amount - part_until(line.amount, line.period, wanted.end_in(zone), zone, line.currency)
            if line.is_use or not rest or (wanted.buyer is not None and line.buyer != wanted.buyer.key):
                continue
            about = Context(line.buyer, line.plan, line.charge, "", line.tax)
            yield MonthEndRow(
                "deferred", "advance", line.currency, -rest if line.type == "credit_note" else rest, line.buyer,
                line.subscription, line.number, line.charge, line.description,
                Period(max(line.period.start, wanted.end_in(zone)), line.period.end), line.tax.category, line.tax.rate,
                wanted.chart.account("deferred", about),
            )  # fmt: skip
        if len(page) < _PAGE:
            return
        after = page[-1].place


# --- VAT --------------------------------------------------------------------------------------------------------------

_Group = tuple[str, str, Decimal]  # currency, category, rate


def _vat(database: Database, wanted: MonthEnd) -> Iterator[MonthEndRow]:
    """Of the month of the day, up to its end: what was invoiced, and what came to be owed (on debits at once, on
    payment as it was paid); and at its end what waits for payment."""
    start = start_of_day(wanted.as_of.replace(day=1), ZoneInfo(wanted.seller.time_zone))
    window = ExportFilter(start, wanted.issued_before, seller_id=wanted.seller.tenant_id, buyer_id=wanted.buyer_id)
    sums: dict[str, dict[_Group, Decimal]] = {"base": {}, "invoiced": {}, "due": {}, "awaiting_payment": {}}

    def add(item: str, group: _Group, amount: Decimal) -> None:
        sums[item][group] = sums[item].get(group, ZERO) + amount

    currencies = {wanted.seller.currency}
    for stored in documents_issued(database, window):
        invoice, waiting = stored.invoice, awaiting_payment(stored.invoice)
        currencies.add(invoice.currency)
        for tax in invoice.tax:
            group = (invoice.currency, tax.category, tax.rate)
            add("base", group, signed(tax.base, invoice))
            add("invoiced", group, signed(tax.amount, invoice))
            if (tax.category, tax.rate) not in waiting:
                add("due", group, signed(tax.amount, invoice))
    for currency in sorted(currencies):
        books = SellersBooks(wanted.seller, wanted.chart, currency, window, 1)
        for group, amount in _paid_vat(database, books, wanted):
            add("due", group, amount)
    for group, amount in _awaiting(database, wanted):
        add("awaiting_payment", group, amount)
    for item, groups in sums.items():
        for (currency, category, rate), amount in sorted(groups.items()):
            role = "vat_awaiting_payment" if item == "awaiting_payment" else "vat_collected"
            account = wanted.chart.account(role, Context(tax=TaxRate(category, rate)))  # type: ignore[arg-type]
            yield MonthEndRow(
                "vat", item, currency, amount, "" if wanted.buyer is None else wanted.buyer.key,
                tax_category=category, tax_rate=rate, account="" if item in ("base", "invoiced") else account,
            )  # fmt: skip


def _paid_vat(database: Database, books: SellersBooks, wanted: MonthEnd) -> Iterator[tuple[_Group, Decimal]]:
    """VAT that waited and was paid in the window, below 0 where a payment went back."""
    for found in (payments_made(database, books), ledger_moves(database, books)):
        for payer, _, moves in found:
            if wanted.buyer is not None and payer.tenant_id != wanted.buyer.tenant_id:
                continue
            for move in moves:
                waiting = frozenset() if move.invoice is None else awaiting_payment(move.invoice)
                for part in move.entry.tax:
                    if (part.category, part.rate) in waiting:
                        yield (books.currency, part.category, part.rate), part.amount
    if books.currency != wanted.seller.currency:
        return  # balance is read for all currencies at once
    seen: set[tuple[UUID, UUID, datetime]] = set()
    for used in balance_moves(database, books):
        key = (used.tenant_id, used.invoice_id, used.place[0])
        if key in seen or wanted.buyer_id not in (None, used.tenant_id):
            continue
        seen.add(key)
        stored = database.read(lambda connection, key=key: invoice_store.find(connection, key[0], key[1]))  # type: ignore[misc]
        if stored is None:
            continue
        taxes = database.read(lambda connection, stored=stored: paid_by_balance(connection, stored))  # type: ignore[misc]
        for part in taxes.get(key[2], ()):
            if (part.category, part.rate) in awaiting_payment(stored.invoice):
                yield (stored.invoice.currency, part.category, part.rate), part.amount


def _awaiting(database: Database, wanted: MonthEnd) -> Iterator[tuple[_Group, Decimal]]:
    """VAT of invoices that is owed once it is paid, and is not paid at the end of the day."""
    for claims in _claims(database, wanted):
        for claim in claims:
            if not claim.due:
                continue
            stored = database.read(
                lambda connection, claim=claim: invoice_store.find(connection, claim.tenant_id, claim.invoice_id)  # type: ignore[misc]
            )
            waiting = frozenset() if stored is None else awaiting_payment(stored.invoice)
            for part in less(claim.owed_tax, split_paid(claim.owed_tax, claim.paid, claim.currency)):
                if (part.category, part.rate) in waiting:
                    yield (claim.currency, part.category, part.rate), part.amount


# --- what buyers owe --------------------------------------------------------------------------------------------------


def _claims(database: Database, wanted: MonthEnd) -> Iterator[list[Claim]]:
    """The invoices of some buyers at a time, as of the day."""
    buyers = [wanted.buyer.tenant_id] if wanted.buyer is not None else database.read(claim_store.buyers)
    for start in range(0, len(buyers), _PAGE):
        ids = buyers[start : start + _PAGE]
        yield database.read(
            lambda connection, ids=ids: claim_store.of_payers(  # type: ignore[misc]
                connection, ids, as_of=wanted.as_of, seller_id=wanted.seller.tenant_id
            )
        )


def _aged(database: Database, wanted: MonthEnd) -> Iterator[MonthEndRow]:
    for claims in _claims(database, wanted):
        found = aged(claims, {}, wanted.as_of)
        keys = _keys(database, {tenant_id for tenant_id, _ in found})
        for (tenant_id, currency), one in sorted(found.items(), key=lambda pair: (keys[pair[0][0]], pair[0][1])):
            about = Context(tenant=keys[tenant_id])
            for bucket in BUCKETS:
                if one.buckets[bucket]:
                    yield MonthEndRow(
                        "aged", bucket, currency, one.buckets[bucket], keys[tenant_id],
                        account=wanted.chart.account("receivable", about),
                    )  # fmt: skip


def _keys(database: Database, tenant_ids: Iterable[UUID]) -> dict[UUID, str]:
    wanted = set(tenant_ids)
    return database.read(lambda connection: tenant_store.keys_of(connection, wanted)) if wanted else {}
