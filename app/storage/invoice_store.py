"""Invoices and credit notes: drafts that are replaced, issued documents that never change, numbers without a gap."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.charge_models import Component, keep_component, read_component
from app.domain.credit import CreditUse
from app.domain.drafts import content_of
from app.domain.events import instant_text, parse_instant
from app.domain.ids import NOBODY, SEVERAL, public_id
from app.domain.invoices import (
    NO_REMARKS,
    AccountingTax,
    Invoice,
    InvoiceLine,
    Reference,
    Remarks,
    keep_details,
    keep_group,
    keep_line_details,
    line_digest,
)  # fmt: skip
from app.domain.kept_parties import keep_party, read_address, read_party, read_references
from app.domain.marks import Mark, keep_mark, mark_of, read_mark
from app.domain.money import ZERO, plain
from app.domain.numbering import MAIN_SERIES, parse_number
from app.domain.periods import Period
from app.domain.rating.lines import Allowance
from app.domain.tax import Exemption, TaxGroup, TaxRate
from app.storage import draft_store
from app.storage.draft_store import DraftWork
from app.storage.payment_store import paid_totals
from app.storage.tables import (
    credit_accounts,
    invoice_files,
    invoice_lines,
    invoices,
    number_series,
    number_stems,
    subscription_keys,
)
from app.storage.upserts import insert_missing

SERIES = "main"
REISSUE = "reissue-"
"""How the slot begins of an invoice that takes the place of a cancelled one; the id of the credit note follows."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document belongs: one per (subscription, billing instant, type, slot). `subscription_id` is SEVERAL where
    it collects what several owe, NOBODY where a person wrote it. `slot` is '' for the instant's own invoice, and for a
    credit note names what it credits. `credits_id` is the invoice that a credit note lowers."""

    tenant_id: UUID
    invoice_id: UUID
    seller_id: UUID
    subscription_id: UUID
    billing_at: datetime
    slot: str = ""
    credits_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredInvoice:
    """`sequence` is its place in its series, `ordinal` says which of all that were issued to its buyer came first,
    whichever series they are in and whoever sold."""

    invoice: Invoice
    place: Place
    sequence: int | None
    ordinal: int | None = None


def invoice_public_id(place: Place) -> str:
    return public_id("inv", place.tenant_id, place.invoice_id)


def save_draft(connection: Connection, draft: Invoice, place: Place, now: datetime) -> None:
    """Writes the draft and its lines; there is none with its id."""
    _insert(connection, draft, place, now, digests=[line_digest(line) for line in draft.lines])


def _insert(
    connection: Connection, invoice: Invoice, place: Place, now: datetime, *, digests: Sequence[bytes],
    series: str = "", sequence: int | None = None, ordinal: int | None = None,
) -> None:  # fmt: skip
    period = invoice.period
    row = {
        "tenant_id": place.tenant_id, "invoice_id": place.invoice_id, "type": invoice.type, "status": invoice.status,
        "seller_id": place.seller_id, "seller": _kept_text(keep_party(invoice.seller)),
        "buyer": _kept_text(keep_party(invoice.buyer)), "currency": invoice.currency, "language": invoice.language,
        "time_zone": invoice.time_zone, "period_start": period.start, "period_end": period.end, "net": invoice.net,
        "tax": _tax_text(invoice.tax), "total": invoice.total, "series": series, "number": invoice.number,
        "sequence": sequence, "ordinal": ordinal, "issued_at": invoice.issued_at, "due_date": invoice.due_date,
        "hash": invoice.hash, "previous_hash": invoice.previous_hash, "subscription_id": place.subscription_id,
        "billing_at": place.billing_at, "slot": place.slot, "credits_id": place.credits_id,
        "references": _references_text(invoice.references), "created_at": now,
        "allowances": _allowances_text(invoice.allowances), "remarks": _remarks_text(invoice.remarks),
        "purchase_order": invoice.purchase_order, "details": _details_text(keep_details(invoice)),
    }  # fmt: skip
    connection.execute(invoices.insert(), row)
    owners = _owners(connection, place, invoice.lines)
    lines = zip(invoice.lines, digests, strict=True)
    rows = [
        _line_values(place, position, line, owners.get(line.subscription, NOBODY), digest)
        for position, (line, digest) in enumerate(lines, 1)
    ]
    if rows:
        connection.execute(invoice_lines.insert(), rows)


def delete_draft(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> bool:
    """True when there was such a draft. An issued document is never deleted."""
    own = sa.select(invoices.c.invoice_id).where(
        invoices.c.tenant_id == tenant_id, invoices.c.invoice_id == invoice_id, invoices.c.status == "draft"
    )
    if connection.execute(own).first() is None:
        return False
    for table in (invoice_lines, invoices):
        connection.execute(table.delete().where(table.c.tenant_id == tenant_id, table.c.invoice_id == invoice_id))
    return True


def delete_drafts(connection: Connection, tenant_id: UUID, *, of: UUID | None = None) -> None:
    """Deletes the tenant's drafts of subscriptions, or those with a line of the one that is named."""
    wanted = invoices.c.subscription_id != NOBODY if of is None else _has_line_of(tenant_id, of)
    query = sa.select(invoices.c.invoice_id).where(
        invoices.c.tenant_id == tenant_id, invoices.c.status == "draft", wanted
    )
    found = list(connection.execute(query).scalars())
    for table in (invoice_lines, invoices):
        connection.execute(table.delete().where(table.c.tenant_id == tenant_id, table.c.invoice_id.in_(found)))


def _owners(connection: Connection, place: Place, lines: Iterable[InvoiceLine]) -> dict[str, UUID]:
    """The ids of the subscriptions whose lines these are, by key."""
    keys = sorted({line.subscription for line in lines})
    if place.subscription_id != SEVERAL:
        return dict.fromkeys(keys, place.subscription_id)
    found: dict[str, UUID] = {}
    for start in range(0, len(keys), 500):
        query = sa.select(subscription_keys).where(subscription_keys.c.key.in_(keys[start : start + 500]))
        found |= {row.key: row.subscription_id for row in connection.execute(query)}
    return found


def _line_values(
    place: Place, position: int, line: InvoiceLine, subscription_id: UUID, digest: bytes
) -> dict[str, Any]:  # fmt: skip
    return {
        "tenant_id": place.tenant_id, "invoice_id": place.invoice_id, "position": position, "kind": line.kind,
        "subscription_id": subscription_id, "subscription": line.subscription, "charge": line.charge,
        "description": line.description, "period_start": line.period.start, "period_end": line.period.end,
        "quantity": line.quantity, "unit": line.unit, "amount": line.amount, "tax_category": line.tax.category,
        "tax_rate": line.tax.rate, "components": components_text(line.components),
        "allowances": json.dumps([[item.description, plain(item.amount)] for item in line.allowances]),
        "reopens_usage": line.reopens_usage, "trace": json.dumps(line.trace, ensure_ascii=False),
        "credits_id": place.credits_id, "digest": digest, "mark": keep_mark(mark_of(line.trace)),
        "details": _details_text(keep_line_details(line)),
    }  # fmt: skip


def components_text(components: Iterable[Component]) -> str:
    return json.dumps([keep_component(item) for item in components])


def components_from(rows: Iterable[list[Any]]) -> tuple[Component, ...]:
    return tuple(map(read_component, rows))


# --- issuing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SeriesState:
    """The end of a series: the year and the sequence of its last number, how many in all, and the last of the hash
    chain."""

    year: int
    sequence: int
    total: int
    last_hash: str
    last_issued_at: datetime | None


NO_SERIES = SeriesState(0, 0, 0, "", None)
"""Of a series in which nothing was issued."""


def lock_series(connection: Connection, seller_id: UUID, series: str = MAIN_SERIES) -> SeriesState:
    """The end of the series, locked until the transaction ends: a number taken is given back on rollback.

    The seller's main series is locked with any other, and first: documents of one seller are issued one after another.
    """
    state = _locked(connection, seller_id, MAIN_SERIES)
    return state if series == MAIN_SERIES else _locked(connection, seller_id, series)


def _locked(connection: Connection, seller_id: UUID, series: str) -> SeriesState:
    own = (number_series.c.tenant_id == seller_id, number_series.c.series == series)
    query = sa.select(number_series).where(*own).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        first = {
            "tenant_id": seller_id, "series": series, "year": 0, "sequence": 0, "total": 0, "last_hash": "",
            "last_issued_at": None,
        }  # fmt: skip
        insert_missing(connection, number_series, [first])
        row = connection.execute(query).one()
    return SeriesState(row.year, row.sequence, row.total, row.last_hash, row.last_issued_at)


def last_ordinals(connection: Connection, tenant_ids: Collection[UUID]) -> dict[UUID, int]:
    """The ordinal of what was issued last to each of these tenants, whose accounts are locked; 0 where nothing was."""
    last = sa.select(sa.func.max(invoices.c.ordinal)).where(invoices.c.tenant_id == credit_accounts.c.tenant_id)
    query = sa.select(credit_accounts.c.tenant_id, last.scalar_subquery().label("ordinal"))
    query = query.where(credit_accounts.c.tenant_id.in_(sorted(tenant_ids)))
    return {row.tenant_id: row.ordinal or 0 for row in connection.execute(query)}


def stem_counter(connection: Connection, seller_id: UUID, stem: str) -> int:
    """How many numbers of the stem were given; the seller's series are locked."""
    query = sa.select(number_stems.c.sequence).where(number_stems.c.tenant_id == seller_id, number_stems.c.stem == stem)
    found: int | None = connection.execute(query).scalar()
    return found or 0


def stems_of(connection: Connection, seller_id: UUID) -> dict[str, int]:
    """How far each stem of the seller's numbers has counted."""
    query = sa.select(number_stems).where(number_stems.c.tenant_id == seller_id)
    return {row.stem: row.sequence for row in connection.execute(query)}


def save_issued(
    connection: Connection, issued: Invoice, place: Place, state: SeriesState, *, series: str,
    digests: Sequence[bytes], ordinal: int, now: datetime,
) -> None:  # fmt: skip
    """Writes the issued document and its lines, whose digests these are, and moves its series and the stem of its
    number on; there is no draft with its id."""
    _insert(connection, issued, place, now, digests=digests, series=series, sequence=state.total, ordinal=ordinal)
    end = {
        "of_seller": place.seller_id, "of_series": series, "year": state.year, "sequence": state.sequence,
        "total": state.total, "last_hash": state.last_hash, "last_issued_at": state.last_issued_at,
    }  # fmt: skip
    connection.execute(_MOVE_SERIES, end)
    stem, sequence = parse_number(issued.number)
    moved = {"of_seller": place.seller_id, "of_stem": stem, "sequence": sequence}
    if not connection.execute(_MOVE_STEM, moved).rowcount:
        connection.execute(number_stems.insert().values(tenant_id=place.seller_id, stem=stem, sequence=sequence))


# Made once: it takes longer to put one together than to have it done.
_MOVE_SERIES = number_series.update().where(
    number_series.c.tenant_id == sa.bindparam("of_seller"), number_series.c.series == sa.bindparam("of_series")
)
_MOVE_STEM = number_stems.update().where(
    number_stems.c.tenant_id == sa.bindparam("of_seller"), number_stems.c.stem == sa.bindparam("of_stem")
)


# --- reading ----------------------------------------------------------------------------------------------------------


def find(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> StoredInvoice | None:
    query = sa.select(invoices).where(invoices.c.tenant_id == tenant_id, invoices.c.invoice_id == invoice_id)
    found = _stored(connection, query)
    return found[0] if found else None


def lock_document(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> None:
    """Holds the document's row until the transaction ends, after its subscription's: whoever credits, edits or issues a
    document of no subscription waits here."""
    own = (invoices.c.tenant_id == tenant_id, invoices.c.invoice_id == invoice_id)
    connection.execute(sa.select(invoices.c.invoice_id).where(*own).with_for_update()).all()


def drafted_at(connection: Connection, place: Place) -> datetime:
    """When the document was computed."""
    query = sa.select(invoices.c.created_at)
    query = query.where(invoices.c.tenant_id == place.tenant_id, invoices.c.invoice_id == place.invoice_id)
    found: datetime = connection.execute(query).scalar_one()
    return found


def draft_places(connection: Connection, keys: Collection[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], list[Place]]:
    """Where the drafts of these subscriptions belong, oldest billing instant first."""
    query = sa.select(
        invoices.c.tenant_id, invoices.c.invoice_id, invoices.c.seller_id, invoices.c.subscription_id,
        invoices.c.billing_at, invoices.c.slot, invoices.c.credits_id,
    ).where(
        invoices.c.tenant_id.in_(sorted({tenant_id for tenant_id, _ in keys})),
        invoices.c.subscription_id.in_(sorted({subscription_id for _, subscription_id in keys})),
        invoices.c.status == "draft",
    )  # fmt: skip
    found: dict[tuple[UUID, UUID], list[Place]] = {key: [] for key in keys}
    for row in connection.execute(query.order_by(invoices.c.billing_at, invoices.c.slot)):
        found[row.tenant_id, row.subscription_id].append(Place(*row))
    return found


def drafts_of_parties(connection: Connection, tenant_ids: Sequence[UUID]) -> list[StoredInvoice]:
    """The drafts that one of the tenants sells or buys, oldest billing instant first."""
    concerned = sa.or_(invoices.c.tenant_id.in_(sorted(tenant_ids)), invoices.c.seller_id.in_(sorted(tenant_ids)))
    query = sa.select(invoices).where(invoices.c.status == "draft", concerned)
    return _stored(connection, query.order_by(invoices.c.billing_at, invoices.c.invoice_id))


def issued_of_subscription(connection: Connection, tenant_id: UUID, subscription_id: UUID) -> list[StoredInvoice]:
    """All that was issued for the subscription, in order of issue: every document with a line of it, whole."""
    query = sa.select(invoices).where(
        invoices.c.tenant_id == tenant_id, _has_line_of(tenant_id, subscription_id), invoices.c.status == "issued"
    )
    return _stored(connection, query.order_by(invoices.c.ordinal))


def _has_line_of(tenant_id: UUID, subscription_id: UUID) -> sa.ColumnElement[bool]:
    """True of the tenant's documents with a line of the subscription."""
    lines = sa.select(invoice_lines.c.invoice_id).where(
        invoice_lines.c.tenant_id == tenant_id, invoice_lines.c.subscription_id == subscription_id
    )
    return invoices.c.invoice_id.in_(lines)


def issued_beside(connection: Connection, place: Place, line: InvoiceLine) -> list[StoredInvoice]:
    """All that was issued for the subscription of a line of the document, in order of issue."""
    owners = _owners(connection, place, (line,))
    return issued_of_subscription(connection, place.tenant_id, owners.get(line.subscription, NOBODY))


def is_collected(connection: Connection, tenant_id: UUID, at: datetime) -> bool:
    """True where the document that collects what the tenant owes at the billing instant is issued."""
    query = sa.select(invoices.c.invoice_id).where(
        invoices.c.tenant_id == tenant_id, invoices.c.subscription_id == SEVERAL, invoices.c.billing_at == at,
        invoices.c.slot == "", invoices.c.status == "issued",
    )  # fmt: skip
    return connection.execute(query.limit(1)).first() is not None


def notes_on(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> list[StoredInvoice]:
    """The credit notes that were issued on the invoice, in order of issue."""
    query = sa.select(invoices).where(
        invoices.c.tenant_id == tenant_id, invoices.c.credits_id == invoice_id, invoices.c.status == "issued"
    )
    return _stored(connection, query.order_by(invoices.c.ordinal))


def with_slot(connection: Connection, tenant_id: UUID, prefix: str) -> list[StoredInvoice]:
    """The documents of the tenant whose slot begins with this text of letters, digits and hyphens."""
    query = sa.select(invoices).where(invoices.c.tenant_id == tenant_id, invoices.c.slot.like(f"{prefix}%"))
    return _stored(connection, query.order_by(invoices.c.invoice_id))


def issued_to(connection: Connection, tenant_id: UUID) -> list[StoredInvoice]:
    """All that was issued to the tenant, in order of making."""
    query = sa.select(invoices).where(invoices.c.tenant_id == tenant_id, invoices.c.status == "issued")
    return _stored(connection, query.order_by(invoices.c.invoice_id))


def numbers_of(connection: Connection, tenant_id: UUID, ids: Iterable[UUID]) -> dict[UUID, str]:
    """The numbers of these documents of the tenant."""
    query = sa.select(invoices.c.invoice_id, invoices.c.number).where(
        invoices.c.tenant_id == tenant_id, invoices.c.invoice_id.in_(sorted(set(ids)))
    )
    return {row.invoice_id: row.number for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class BilledStretch:
    """What an issued charge line billed. `trace` is what it was computed from."""

    charge: str
    stretch: Period
    trace: dict[str, Any]


def billed_stretches(
    connection: Connection, tenant_id: UUID, subscription_id: UUID, *, after: datetime
) -> list[BilledStretch]:
    """Every issued charge line whose stretch ends after the instant, in order of start."""
    query = (
        sa.select(
            invoice_lines.c.charge, invoice_lines.c.period_start, invoice_lines.c.period_end, invoice_lines.c.trace
        )
        .join(
            invoices,
            sa.and_(
                invoices.c.tenant_id == invoice_lines.c.tenant_id, invoices.c.invoice_id == invoice_lines.c.invoice_id
            ),
        )
        .where(
            invoice_lines.c.tenant_id == tenant_id, invoice_lines.c.subscription_id == subscription_id,
            invoice_lines.c.kind == "charge", invoice_lines.c.period_end > after, invoices.c.status == "issued",
        )
        .order_by(invoice_lines.c.period_start)
    )  # fmt: skip
    return [
        BilledStretch(row.charge, Period(row.period_start, row.period_end), json.loads(row.trace))
        for row in connection.execute(query)
    ]


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A line that counts as billed, by its mark."""

    charge: str
    period: Period
    mark: Mark


def marked_lines(
    connection: Connection, keys: Collection[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], list[MarkedLine]]:
    """Of these subscriptions every issued line that changes what counts as billed, in order of issue."""
    query = (
        sa.select(
            invoice_lines.c.tenant_id, invoice_lines.c.subscription_id, invoice_lines.c.charge,
            invoice_lines.c.period_start, invoice_lines.c.period_end, invoice_lines.c.mark,
        )
        .join(
            invoices,
            sa.and_(
                invoices.c.tenant_id == invoice_lines.c.tenant_id, invoices.c.invoice_id == invoice_lines.c.invoice_id
            ),
        )
        .where(
            invoice_lines.c.tenant_id.in_(sorted({tenant_id for tenant_id, _ in keys})),
            invoice_lines.c.subscription_id.in_(sorted({subscription_id for _, subscription_id in keys})),
            invoices.c.status == "issued", invoice_lines.c.mark != "",
            sa.or_(invoice_lines.c.kind != "credit", invoice_lines.c.reopens_usage),
        )
        .order_by(invoices.c.ordinal, invoice_lines.c.position)
    )  # fmt: skip
    found: dict[tuple[UUID, UUID], list[MarkedLine]] = {key: [] for key in keys}
    for row in connection.execute(query):
        line = MarkedLine(row.charge, Period(row.period_start, row.period_end), read_mark(row.mark))
        found[row.tenant_id, row.subscription_id].append(line)
    return found


@dataclass(frozen=True, slots=True)
class InvoiceFilter:
    status: str | None = None
    type: str | None = None
    buyer_id: UUID | None = None
    seller_id: UUID | None = None
    number: str | None = None
    period_starts: frozenset[datetime] | None = None
    credits_id: UUID | None = None
    visible_to: UUID | None = None


def listing(
    connection: Connection, wanted: InvoiceFilter, *, after: tuple[UUID, UUID] | None, limit: int
) -> list[StoredInvoice]:
    """A page of documents by (creation, buyer): a tenant sees those it buys or sells."""
    query = sa.select(invoices)
    equal: tuple[tuple[Any, Any], ...] = (
        (invoices.c.status, wanted.status), (invoices.c.type, wanted.type), (invoices.c.tenant_id, wanted.buyer_id),
        (invoices.c.seller_id, wanted.seller_id), (invoices.c.number, wanted.number),
        (invoices.c.credits_id, wanted.credits_id),
    )  # fmt: skip
    for column, value in equal:
        if value is not None:
            query = query.where(column == value)
    if wanted.period_starts is not None:
        query = query.where(invoices.c.period_start.in_(sorted(wanted.period_starts)))
    if wanted.visible_to is not None:
        mine = sa.or_(invoices.c.tenant_id == wanted.visible_to, invoices.c.seller_id == wanted.visible_to)
        query = query.where(mine)
    if after is not None:
        invoice_id, tenant_id = after
        query = query.where(
            sa.or_(
                invoices.c.invoice_id > invoice_id,
                sa.and_(invoices.c.invoice_id == invoice_id, invoices.c.tenant_id > tenant_id),
            )
        )
    return _stored(connection, query.order_by(invoices.c.invoice_id, invoices.c.tenant_id).limit(limit))


def stored_by(connection: Connection, query: sa.Select[Any]) -> list[StoredInvoice]:
    """The documents that a query of all columns of `invoices` finds, whole and in its order."""
    return _stored(connection, query)


def in_series(
    connection: Connection, seller_id: UUID, *, after: int, limit: int, series: str = MAIN_SERIES
) -> list[StoredInvoice]:
    """The issued documents of the series in order of issue, those past the sequence number `after`."""
    query = sa.select(invoices).where(
        invoices.c.seller_id == seller_id, invoices.c.series == series, invoices.c.status == "issued",
        invoices.c.sequence > after,
    )  # fmt: skip
    return _stored(connection, query.order_by(invoices.c.sequence).limit(limit))


def all_series(connection: Connection) -> list[tuple[UUID, dict[str, SeriesState]]]:
    """The series of every seller that has issued something, or has a counter; NO_SERIES where the counter is gone."""
    issued = sa.select(invoices.c.seller_id, invoices.c.series).where(invoices.c.status == "issued").distinct()
    found: dict[UUID, dict[str, SeriesState]] = {}
    for row in connection.execute(issued):
        found.setdefault(row.seller_id, {})[row.series] = NO_SERIES
    for row in connection.execute(sa.select(number_series)):
        state = SeriesState(row.year, row.sequence, row.total, row.last_hash, row.last_issued_at)
        found.setdefault(row.tenant_id, {})[row.series] = state
    return sorted(found.items(), key=lambda item: item[0].int)


def kept_beside(connection: Connection, tenant_id: UUID, invoice_id: UUID) -> list[tuple[bytes, str]]:
    """The lines' digests and marks as kept at drafting, by position."""
    query = sa.select(invoice_lines.c.digest, invoice_lines.c.mark).where(
        invoice_lines.c.tenant_id == tenant_id, invoice_lines.c.invoice_id == invoice_id
    )
    return [(row.digest, row.mark) for row in connection.execute(query.order_by(invoice_lines.c.position))]


def credited_totals(connection: Connection, keys: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Decimal]:
    """What issued credit notes took back of each invoice, tax included."""
    taken: dict[tuple[UUID, UUID], Decimal] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = sa.select(invoices.c.tenant_id, invoices.c.credits_id, invoices.c.total).where(
            invoices.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            invoices.c.credits_id.in_(sorted({key[1] for key in chunk})), invoices.c.status == "issued",
        )  # fmt: skip
        for row in connection.execute(query):
            taken[row.tenant_id, row.credits_id] = taken.get((row.tenant_id, row.credits_id), ZERO) + row.total
    return taken


def net_under_order(connection: Connection, tenant_id: UUID, purchase_order: str) -> Decimal:
    """The net of all that was issued to the tenant under the order, less what credit notes took back."""
    query = sa.select(invoices.c.type, invoices.c.net).where(
        invoices.c.tenant_id == tenant_id, invoices.c.purchase_order == purchase_order, invoices.c.status == "issued"
    )
    rows = connection.execute(query)
    return sum((-row.net if row.type == "credit_note" else row.net for row in rows), ZERO)


def _stored(connection: Connection, query: sa.Select[Any]) -> list[StoredInvoice]:
    rows = list(connection.execute(query).mappings())
    keys = [(row["tenant_id"], row["invoice_id"]) for row in rows]
    lines = _lines(connection, keys)
    issued = [key for key, row in zip(keys, rows, strict=True) if row["status"] == "issued"]
    credited, paid = credited_totals(connection, issued), paid_totals(connection, issued)
    works = draft_store.find_many(connection, [key for key in keys if key not in set(issued)])
    return [
        _with_work(
            _stored_invoice(row, lines.get(key, ()), credited=credited.get(key, ZERO), paid=paid.get(key, ZERO)),
            works.get(key),
        )
        for row, key in zip(rows, keys, strict=True)
    ]


def _with_work(stored: StoredInvoice, work: DraftWork | None) -> StoredInvoice:
    """The draft with what people did to it."""
    if work is None:
        return stored
    approved = bool(work.approved) and content_of(stored.invoice) == work.approved
    invoice = replace(
        stored.invoice, hold=work.edits.hold, hold_reason=work.edits.hold_reason, approved=approved
    )  # fmt: skip
    return replace(stored, invoice=invoice)


def _lines(
    connection: Connection, keys: Sequence[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], tuple[InvoiceLine, ...]]:
    found: dict[tuple[UUID, UUID], list[InvoiceLine]] = {}
    for start in range(0, len(keys), 500):
        chunk = keys[start : start + 500]
        query = sa.select(invoice_lines).where(
            invoice_lines.c.tenant_id.in_(sorted({key[0] for key in chunk})),
            invoice_lines.c.invoice_id.in_(sorted({key[1] for key in chunk})),
        )
        for row in connection.execute(query.order_by(invoice_lines.c.position)).mappings():
            found.setdefault((row["tenant_id"], row["invoice_id"]), []).append(_line(row))
    return {key: tuple(lines) for key, lines in found.items()}


def _line(row: RowMapping) -> InvoiceLine:
    kind: Literal["charge", "difference", "credit", "one_off"] = row["kind"]
    details = json.loads(row["details"] or "{}")
    exemption = _exemption(details.get("exemption"))
    return InvoiceLine(
        id=f"ln_{row['position']}", charge=row["charge"], description=row["description"],
        period=Period(row["period_start"], row["period_end"]), quantity=row["quantity"], unit=row["unit"],
        amount=row["amount"], tax=TaxRate(row["tax_category"], row["tax_rate"], exemption),
        components=components_from(json.loads(row["components"])),
        allowances=tuple(Allowance(text, Decimal(amount)) for text, amount in json.loads(row["allowances"])),
        kind=kind, reopens_usage=row["reopens_usage"], subscription=row["subscription"],
        trace=json.loads(row["trace"]), supply=details.get("supply", ""),
        references=read_references(details.get("references", {})),
    )  # fmt: skip


def _stored_invoice(
    row: RowMapping, lines: tuple[InvoiceLine, ...], *, credited: Decimal, paid: Decimal
) -> StoredInvoice:
    place = Place(
        row["tenant_id"], row["invoice_id"], row["seller_id"], row["subscription_id"], row["billing_at"], row["slot"],
        row["credits_id"],
    )  # fmt: skip
    invoice = Invoice(
        id=invoice_public_id(place), type=row["type"], status=row["status"],
        seller=read_party(json.loads(row["seller"])), buyer=read_party(json.loads(row["buyer"])),
        currency=row["currency"], language=row["language"], time_zone=row["time_zone"],
        period=Period(row["period_start"], row["period_end"]), lines=lines, net=row["net"],
        tax=tuple(map(_group, json.loads(row["tax"]))),
        total=row["total"], number=row["number"], issued_at=row["issued_at"], due_date=row["due_date"],
        hash=row["hash"], previous_hash=row["previous_hash"],
        references=tuple(Reference(i, n, parse_instant(t)) for i, n, t in json.loads(row["references"])),
        allowances=_allowances(row["allowances"]), remarks=_remarks(row["remarks"]), **_details(row),
    )  # fmt: skip
    return StoredInvoice(replace(invoice, credited=credited, paid=paid), place, row["sequence"], row["ordinal"])


def _kept_text(kept: Any) -> str:
    return json.dumps(kept, ensure_ascii=False)


def _details_text(kept: dict[str, Any]) -> str:
    return _kept_text(kept) if kept else ""


def _details(row: RowMapping) -> dict[str, Any]:
    """The same as fields of `Invoice`. The order is read where it is looked for, so that the audit sees to that."""
    fields: dict[str, Any] = json.loads(row["details"] or "{}") | {"purchase_order": row["purchase_order"]}
    if "delivery_address" in fields:
        fields["delivery_address"] = read_address(fields["delivery_address"])
    if "accounting_tax" in fields:
        kept = fields["accounting_tax"]
        fields["accounting_tax"] = AccountingTax(
            kept["currency"], Decimal(kept["amount"]), Decimal(kept["rate"]), kept["source"],
            date.fromisoformat(kept["date"]),
        )  # fmt: skip
    return fields


def _tax_text(groups: Iterable[TaxGroup]) -> str:
    return _kept_text([keep_group(group) for group in groups])


def _group(kept: list[Any]) -> TaxGroup:
    category, rate, base, amount, *exemption = kept
    return TaxGroup(category, Decimal(rate), Decimal(base), Decimal(amount), _exemption(*exemption))


def _exemption(kept: Mapping[str, str] | None = None) -> Exemption | None:
    return None if kept is None else Exemption(kept.get("code", ""), kept["reason"])


def _allowances_text(uses: Iterable[CreditUse]) -> str:
    rows = [[u.grant_id.hex, u.description, plain(u.amount), u.tax.category, plain(u.tax.rate)] for u in uses]
    return json.dumps(rows, ensure_ascii=False) if rows else ""


def _allowances(text: str) -> tuple[CreditUse, ...]:
    return tuple(
        CreditUse(UUID(hex=grant), description, Decimal(amount), TaxRate(category, Decimal(rate)))
        for grant, description, amount, category, rate in (json.loads(text) if text else ())
    )


def _remarks_text(remarks: Remarks) -> str:
    return "" if remarks == NO_REMARKS else json.dumps(asdict(remarks), ensure_ascii=False)


def _remarks(text: str) -> Remarks:
    return Remarks(**json.loads(text)) if text else NO_REMARKS


def _references_text(references: Iterable[Reference]) -> str:
    return json.dumps([[item.invoice_id, item.number, instant_text(item.issued_at)] for item in references])


# --- rendered files ---------------------------------------------------------------------------------------------------


def find_file(connection: Connection, place: Place, format: str) -> bytes | None:
    """The document's file as it was rendered first."""
    content: bytes | None = connection.execute(
        sa.select(invoice_files.c.content).where(
            invoice_files.c.tenant_id == place.tenant_id, invoice_files.c.invoice_id == place.invoice_id,
            invoice_files.c.format == format,
        )
    ).scalar()  # fmt: skip
    return content


def keep_file(connection: Connection, place: Place, format: str, content: bytes) -> None:
    """Keeps the file, unless one was kept before."""
    row = {
        "tenant_id": place.tenant_id, "invoice_id": place.invoice_id, "format": format, "content": content,
        "digest": sha256(content).digest(),
    }  # fmt: skip
    insert_missing(connection, invoice_files, [row])
