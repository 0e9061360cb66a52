"""Recompute everything from the events and from what was recorded, and report every difference.

Events: identity and content digest of each row. Buckets: each against the fold of its events. Lines: each against the
rating of its own trace. Documents: totals, numbers without gap, hashes and their chain; and of every charge and
stretch, that all documents together billed what it was rated to last. Credit: every grant against its ledger, and every
entry of that against the document that it names; payments likewise, and the VAT that they hold. Also listed, and no
difference: `unpriced` usage, late usage that is `unbilled` (with what is billed it is what is rated now), and meters
that are still being built (their buckets are not whole yet).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from heapq import merge
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.aggregation import Bucket, Fold, Tally
from app.domain.events import EARLIEST, content_digest, identity_of, instant_text
from app.domain.invoices import Invoice, InvoiceLine, content_hash, line_digest
from app.domain.marks import keep_mark, mark_of
from app.domain.meters import Meter
from app.domain.money import ZERO, plain
from app.domain.numbering import MAIN_SERIES, parse_number
from app.domain.tax import TaxGroup, summed_groups
from app.operations.audit_credit import Difference, credit_differences
from app.operations.audit_payments import payment_differences
from app.operations.billed_charges import billed_charges
from app.operations.check_documents import line_findings, total_findings
from app.operations.list_late_usage import list_late_usage
from app.operations.list_unpriced import list_unpriced
from app.operations.rate_period import result_of
from app.operations.read_usage import contribution_of
from app.storage import event_store, invoice_store, meter_store, subscription_store, tenant_store, usage_store
from app.storage.database import Database
from app.storage.event_store import StoredEvent
from app.storage.invoice_store import NO_SERIES, SeriesState, StoredInvoice

_PAGE = 2000


@dataclass
class Audit:
    """What was looked at, and what was found."""

    events: int = 0
    buckets: int = 0
    lines: int = 0
    documents: int = 0
    differences: list[Difference] = field(default_factory=list)
    unpriced: list[dict[str, Any]] = field(default_factory=list)
    unbilled: list[dict[str, Any]] = field(default_factory=list)
    building: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not self.differences


Progress = Callable[[str, int], None]
"""Told (what is being looked at, how many so far)."""


def audit_books(database: Database, *, now: datetime, progress: Progress | None = None) -> Audit:
    """The audit of one unchanging snapshot of the database; writes nothing."""
    return database.read(lambda connection: _audit(connection, now, progress or (lambda _what, _count: None)))


def _audit(connection: Connection, now: datetime, progress: Progress) -> Audit:
    audit = Audit()
    meters = meter_store.load(connection)
    audit.building = [meter.key for meter in meters if meter.state == "building"]
    keys = {tenant.tenant_id: tenant.key for tenant in tenant_store.all_tenants(connection)}
    _audit_events(connection, audit, meters, keys, progress)
    for seller_id, series in invoice_store.all_series(connection):
        _audit_seller(connection, audit, seller_id, series, keys, progress)
    _audit_billed(connection, audit)
    audit.differences += credit_differences(connection, keys)
    audit.differences += payment_differences(connection, keys)
    audit.unpriced = list_unpriced(connection, through=now)
    audit.unbilled = list_late_usage(connection, subscription_store.all_subscriptions(connection), at=now)
    return audit


# --- events and buckets -----------------------------------------------------------------------------------------------


def _audit_events(
    connection: Connection, audit: Audit, meters: list[Meter], keys: dict[UUID, str], progress: Progress
) -> None:
    """Walks the events by key, so one tenant's are together, and compares its buckets with what they fold to."""
    active = [meter for meter in meters if meter.state == "active"]
    by_type: dict[str, list[Meter]] = {}
    for meter in active:
        by_type.setdefault(meter.event_type, []).append(meter)
    seen: set[UUID] = set()
    for tenant_id, stored_events in _by_tenant(connection):
        expected = Tally()
        seen.add(tenant_id)
        for stored in stored_events:
            audit.events += 1
            if audit.events % _PAGE == 0:
                progress("events", audit.events)
            _check_event(audit, stored, keys)
            if stored.cancelled_at is None:
                _count(expected, stored, by_type.get(stored.event.type, []))
        _check_buckets(connection, audit, active, tenant_id, expected.buckets(), keys)
    strangers = {row[0] for row in usage_store.spans(connection, [meter.meter_id for meter in active])} - seen
    for tenant_id in strangers:
        _check_buckets(connection, audit, active, tenant_id, [], keys)


def _by_tenant(connection: Connection) -> Iterator[tuple[UUID, Iterator[StoredEvent]]]:
    """(tenant, its events) in key order; each tenant's events are to be used up before the next is asked for."""

    def walk() -> Iterator[StoredEvent]:
        after = None
        while True:
            rows = event_store.after_key(connection, after=after, limit=_PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1].key

    return groupby(walk(), key=lambda stored: stored.tenant_id)


def _check_event(audit: Audit, stored: StoredEvent, keys: dict[UUID, str]) -> None:
    event = stored.event
    row = {"tenant": keys.get(stored.tenant_id, str(stored.tenant_id)), "source": event.source, "id": event.id}
    if identity_of(event.source, event.id) != stored.identity:
        audit.differences.append(
            Difference("events", row, "identity", stored.identity.hex(), identity_of(event.source, event.id).hex())
        )
    found = content_digest(event)
    if found != stored.digest:
        audit.differences.append(Difference("events", row, "content digest", stored.digest.hex(), found.hex()))
    if event.time is not None and event.time != stored.at:
        audit.differences.append(Difference("events", row, "time", instant_text(event.time), instant_text(stored.at)))


def _count(expected: Tally, stored: StoredEvent, meters: list[Meter]) -> None:
    for meter in meters:
        bucket = contribution_of(meter, stored)
        if bucket is not None:
            expected.add(bucket)


def _check_buckets(
    connection: Connection, audit: Audit, meters: list[Meter], tenant_id: UUID, expected: list[Bucket],
    keys: dict[UUID, str],
) -> None:  # fmt: skip
    left = {bucket.key: bucket for bucket in expected}
    for meter in meters:
        for bucket in usage_store.of_tenant(connection, tenant_id=tenant_id, meter_id=meter.meter_id):
            audit.buckets += 1
            wanted = left.pop(bucket.key, None)
            where = _bucket_row(bucket, meter, keys)
            if wanted is None:
                audit.differences.append(Difference("buckets", where, "no event folds to it", "no bucket", "a bucket"))
                continue
            audit.differences += _fold_differences(where, wanted, bucket)
    names = {meter.meter_id: meter for meter in meters}
    for bucket in left.values():
        where = _bucket_row(bucket, names[bucket.key.meter_id], keys)
        audit.differences.append(Difference("buckets", where, "missing", "a bucket", "no bucket"))


def _bucket_row(bucket: Bucket, meter: Meter, keys: dict[UUID, str]) -> dict[str, str]:
    return {
        "tenant": keys.get(bucket.key.tenant_id, str(bucket.key.tenant_id)), "meter": meter.key,
        "start": instant_text(bucket.key.start), "resource": bucket.resource, "dimensions": bucket.dimensions,
    }  # fmt: skip


def _fold_differences(where: dict[str, str], wanted: Bucket, found: Bucket) -> list[Difference]:
    differences = [
        Difference("buckets", where, name, _text(getattr(wanted.fold, name)), _text(getattr(found.fold, name)))
        for name in Fold.__struct_fields__
        if getattr(wanted.fold, name) != getattr(found.fold, name)
    ]
    for name in ("resource", "dimensions"):
        if getattr(wanted, name) != getattr(found, name):
            differences.append(Difference("buckets", where, name, getattr(wanted, name), getattr(found, name)))
    return differences


def _text(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)


# --- documents --------------------------------------------------------------------------------------------------------


def _audit_seller(
    connection: Connection, audit: Audit, seller_id: UUID, series: dict[str, SeriesState], keys: dict[UUID, str],
    progress: Progress,
) -> None:  # fmt: skip
    """Walks a seller's documents in order of issue: numbers, chains and content of each."""
    seller = keys.get(seller_id, str(seller_id))
    ordinals: dict[tuple[str, UUID], int] = {}
    previous: dict[str, StoredInvoice] = {}
    stems: dict[str, int] = {}
    credited: dict[tuple[UUID, UUID], list[TaxGroup]] = {}
    walks = [_walk(connection, seller_id, name) for name in sorted(series)]
    for name, stored in merge(*walks, key=lambda item: item[1].invoice.issued_at or EARLIEST):
        _check_order(audit, stored, previous.get(name), stems, seller)
        _check_document(connection, audit, stored, credited)
        _check_ordinal(audit, stored, ordinals, name)
        previous[name] = stored
        audit.documents += 1
        progress("documents", audit.documents)
    for name, state in sorted(series.items()):
        row = {"seller": seller} | ({} if name == MAIN_SERIES else {"series": name})
        expected = _end_of_series(previous.get(name), state)
        if expected != state:
            audit.differences.append(Difference("number_series", row, "end of the series", str(expected), str(state)))
    counted = invoice_store.stems_of(connection, seller_id)
    for stem in sorted(stems.keys() | counted.keys()):
        wanted, found = stems.get(stem, 0), counted.get(stem, 0)
        if wanted != found:
            row = {"seller": seller, "stem": stem}
            audit.differences.append(Difference("number_stems", row, "sequence", str(wanted), str(found)))


def _walk(connection: Connection, seller_id: UUID, series: str) -> Iterator[tuple[str, StoredInvoice]]:
    """(series, document) of each of its documents, in order."""
    position = 0
    while True:
        page = invoice_store.in_series(connection, seller_id, after=position, limit=500, series=series)
        yield from ((series, stored) for stored in page)
        if len(page) < 500:
            return
        position = page[-1].sequence or 0


def _end_of_series(last: StoredInvoice | None, found: SeriesState) -> SeriesState:
    """What the end of the series must be after this document. Its year is known where its number says it."""
    if last is None:
        return NO_SERIES
    stem, sequence = parse_number(last.invoice.number)
    year = int(stem[:4]) if re.fullmatch(r"[0-9]{4}-", stem) else found.year
    return SeriesState(year, sequence, last.sequence or 0, last.invoice.hash, last.invoice.issued_at)


def _check_order(
    audit: Audit, stored: StoredInvoice, previous: StoredInvoice | None, stems: dict[str, int], seller: str
) -> None:
    """`stems` are how far each stem had counted before the document, and then with it."""
    invoice = stored.invoice
    row = {"seller": seller, "number": invoice.number, "id": invoice.id}
    stem, sequence = parse_number(invoice.number)
    next_number = f"{stem}{stems.get(stem, 0) + 1:0{len(invoice.number) - len(stem)}}"
    stems[stem] = sequence
    expected = (
        (previous.sequence or 0) + 1 if previous else 1, next_number, previous.invoice.hash if previous else "",
    )  # fmt: skip
    found = (stored.sequence, invoice.number, invoice.previous_hash)
    for name, wanted, value in zip(("sequence", "number", "previous hash"), expected, found, strict=True):
        if wanted != value:
            audit.differences.append(Difference("invoices", row, name, str(wanted), str(value)))
    if previous and invoice.issued_at and previous.invoice.issued_at and invoice.issued_at < previous.invoice.issued_at:
        audit.differences.append(
            Difference(
                "invoices", row, "issued at", f"not before {instant_text(previous.invoice.issued_at)}",
                instant_text(invoice.issued_at),
            )
        )  # fmt: skip


def _check_ordinal(audit: Audit, stored: StoredInvoice, before: dict[tuple[str, UUID], int], series: str) -> None:
    """What a buyer was issued in one series is in its order. `before` are the ordinals of the last ones."""
    key, found = (series, stored.place.tenant_id), stored.ordinal or 0
    if found <= before.get(key, 0):
        row = {"number": stored.invoice.number, "id": stored.invoice.id}
        audit.differences.append(Difference("invoices", row, "ordinal", f"above {before.get(key, 0)}", str(found)))
    before[key] = found


def _check_document(
    connection: Connection, audit: Audit, stored: StoredInvoice, credited: dict[tuple[UUID, UUID], list[TaxGroup]]
) -> None:
    invoice, place = stored.invoice, stored.place
    row = {"number": invoice.number, "id": invoice.id}
    kept = invoice_store.kept_beside(connection, place.tenant_id, place.invoice_id)
    for line, (digest, mark) in zip(invoice.lines, kept, strict=True):
        audit.lines += 1
        if mark != keep_mark(mark_of(line.trace)):
            audit.differences.append(
                Difference("invoice_lines", row | {"line": line.id}, "mark", keep_mark(mark_of(line.trace)), mark)
            )
        audit.differences += _line_differences(row | {"line": line.id}, invoice, line, digest)
    before: tuple[TaxGroup, ...] = ()
    if place.credits_id is not None:
        earlier = credited.setdefault((place.tenant_id, place.credits_id), [])
        before = summed_groups(earlier)
        earlier.extend(invoice.tax)
    audit.differences += [Difference("invoices", row, *finding) for finding in total_findings(invoice, before)]
    if content_hash(invoice) != invoice.hash:
        audit.differences.append(Difference("invoices", row, "hash", content_hash(invoice), invoice.hash))


def _audit_billed(connection: Connection, audit: Audit) -> None:
    """All documents together must have billed, of each charge and stretch, what its last line was rated to."""
    for subscription in subscription_store.all_subscriptions(connection):
        issued = invoice_store.issued_of_subscription(connection, subscription.tenant_id, subscription.subscription_id)
        for billed in billed_charges(issued, subscription.key):
            expected = result_of(billed.last.trace).amount
            found = sum((item.amount for item in billed.left), ZERO)
            if found != expected:
                row = {
                    "subscription": subscription.key, "charge": billed.first.charge,
                    "start": instant_text(billed.first.period.start),
                }  # fmt: skip
                audit.differences.append(
                    Difference("invoice_lines", row, "billed in all", plain(expected), plain(found))
                )


def _line_differences(row: dict[str, str], invoice: Invoice, line: InvoiceLine, digest: bytes) -> list[Difference]:
    found = [Difference("invoice_lines", row, *finding) for finding in line_findings(invoice, line)]
    if line_digest(line) != digest:
        found.insert(0, Difference("invoice_lines", row, "digest", digest.hex(), line_digest(line).hex()))
    return found
