"""What stands billed of each charge and stretch, over all documents: shared by correction and audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from uuid import UUID

from app.domain.credit_notes import ChargeKey, charge_key
from app.domain.invoices import InvoiceLine, charged_allowances
from app.domain.rating.results import NOTHING, Result, negated, together
from app.storage.invoice_store import StoredInvoice


@dataclass(frozen=True, slots=True)
class BilledCharge:
    """One charge of one stretch as it stands billed. `documents` billed it, in order; `left` is what each still stands
    for; `last` is the line issued last, whose trace says what all of them together came to."""

    documents: tuple[StoredInvoice, ...]
    left: tuple[Result, ...]
    first: InvoiceLine
    last: InvoiceLine


def billed_charges(issued: Sequence[StoredInvoice], subscription: str) -> list[BilledCharge]:
    """The subscription's billed charges by start of the stretch, charge, phase and meter, oldest first, from all that
    was issued for it; the documents may have lines of others too."""
    lines: dict[ChargeKey, list[tuple[StoredInvoice, InvoiceLine]]] = {}
    for stored in issued:
        for line in stored.invoice.lines:
            if _counts(line) and line.subscription == subscription:
                lines.setdefault(charge_key(line), []).append((stored, line))
    return [_billed_charge(lines[key]) for key in sorted(lines)]


def _billed_charge(entries: list[tuple[StoredInvoice, InvoiceLine]]) -> BilledCharge:
    left: dict[UUID, Result] = {}
    documents: dict[UUID, StoredInvoice] = {}
    for stored, line in entries:
        own = Result(line.quantity, line.components, charged_allowances(line), line.amount + line.waived)
        if stored.invoice.type == "credit_note":
            own = negated(own)
        if line.kind == "credit":
            assert stored.place.credits_id is not None
            key = stored.place.credits_id
        else:
            key = stored.place.invoice_id
            documents[key] = stored
        left[key] = together(left.get(key, NOTHING), own)
    order = list(documents)
    return BilledCharge(
        tuple(documents[key] for key in order), tuple(left[key] for key in order), entries[0][1], entries[-1][1]
    )


def billed_before(
    issued: Sequence[StoredInvoice], stored: StoredInvoice, line: InvoiceLine
) -> tuple[StoredInvoice, InvoiceLine] | None:
    """What stood billed of the line's charge and stretch before the correction that the line belongs to: the document
    and the line that say so.

    `issued` is all that was issued for the subscription, in order; the line's own document may still be a draft. A
    correction may be credited on several documents: all of them have the same trace.
    """
    earlier = list(takewhile(lambda item: item.place.invoice_id != stored.place.invoice_id, issued))
    for document in reversed(earlier):
        for other in document.invoice.lines:
            if _counts(other) and charge_key(other) == charge_key(line) and other.trace != line.trace:
                return document, other
    return None


def _counts(line: InvoiceLine) -> bool:
    """True where the line changes what counts as billed."""
    return line.is_rated and (line.kind != "credit" or line.reopens_usage)
