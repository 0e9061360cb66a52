"""Bank statements: the shape of the HTTP contract <-> domain values.

A statement is sent as it is (application/xml: CAMT.053, text/csv with `?mapping=<JSON>`), or inside JSON:

    {"format": "csv", "content": "date;amount\\n..", "mapping": {"date": "date", "amount": "amount"}}

An entry is assigned with {"invoice": "inv_.."}, {"invoices": [..]}, {"tenant": "acme"} or {"payment": "pay_.."}.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from app.domain.bank import BankStatement
from app.domain.errors import InvalidInput
from app.domain.events import instant_text
from app.domain.ids import public_id
from app.domain.money import amount_text
from app.storage.bank_store import KeptEntry, KeptStatement
from app.wire.bank_csv import CsvMapping, mapping_from_wire, read_mapping, statement_from_csv
from app.wire.camt053 import statements_from_camt
from app.wire.parsing import Fields

StatementFormat = Literal["camt.053", "csv"]
STATEMENT_FORMATS: tuple[StatementFormat, ...] = ("camt.053", "csv")
MAX_REASON = 1000
MAX_INVOICES = 100


@dataclass(frozen=True, slots=True)
class StatementSent:
    """A file as it was sent; the mapping is for CSV only."""

    format: StatementFormat
    content: bytes
    mapping: CsvMapping


@dataclass(frozen=True, slots=True)
class AssignWish:
    """What an entry is: a payment of these invoices, or of the tenant, or a payment that there is."""

    invoices: tuple[str, ...]
    tenant: str | None
    payment: str | None


def statement_from_wire(body: Any) -> StatementSent:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    format = fields.choice("format", STATEMENT_FORMATS)
    content = fields.raw("content")
    if not isinstance(content, str) or not content:
        fields.problem("content", "must be the text of the statement")
    mapping = fields.object("mapping")
    if format != "csv" and mapping is not None:
        fields.problem("mapping", "is for CSV only")
    read = CsvMapping() if mapping is None else read_mapping(mapping)
    fields.finish()
    return StatementSent(format, str(content).encode(), read)


def statements_of(sent: StatementSent, *, currency: str) -> list[BankStatement]:
    """The statements in the file; amounts of a CSV that names no currency are in `currency`."""
    if sent.format == "csv":
        return [statement_from_csv(sent.content, sent.mapping, currency=currency)]
    return statements_from_camt(sent.content)


def format_of(content: bytes) -> StatementFormat:
    """CAMT.053 for what begins like XML, whatever it is called; CSV for all else."""
    start = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:2]
    return "camt.053" if start[:1] == b"<" or content[:2] in (b"\xff\xfe", b"\xfe\xff") else "csv"


def assign_from_wire(body: Any) -> AssignWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    invoices = fields.items("invoices")
    if len(invoices) > MAX_INVOICES:
        fields.problem("invoices", f"has more than {MAX_INVOICES} items")
    for index, item in enumerate(invoices):
        if not isinstance(item, str):
            fields.problem(f"invoices/{index}", "must be the id of an invoice")
    one = fields.optional_text("invoice")
    wish = AssignWish(
        (one,) if one is not None else tuple(map(str, invoices)), fields.optional_key("tenant"),
        fields.optional_text("payment"),
    )  # fmt: skip
    named = [bool(one), bool(invoices), wish.tenant is not None, wish.payment is not None]
    if fields.faultless and sum(named) != 1:
        fields.problem("", "name one of invoice, invoices, tenant and payment")
    fields.finish()
    return wish


def ignore_from_wire(body: Any) -> str:
    """The reason; '' where none is given."""
    fields = Fields(body)
    reason = fields.optional_text("reason", max_length=MAX_REASON) or ""
    fields.finish()
    return reason


# --- what is answered -------------------------------------------------------------------------------------------------


def kept_statement_to_wire(kept: KeptStatement, seller: str) -> dict[str, Any]:
    return {
        "id": public_id("bst", kept.seller_id, kept.statement_id), "seller": seller, "format": kept.format,
        "account": kept.account or None, "statements": list(kept.names), "entries": kept.entries,
        "pending": kept.pending, "created_at": instant_text(kept.created_at),
    }  # fmt: skip


def imported_to_wire(kept: KeptStatement, seller: str, *, new: int, outcomes: Mapping[str, int]) -> dict[str, Any]:
    """`entries` is `new` and `duplicates` together; the rest says what became now of those that were not settled."""
    return kept_statement_to_wire(kept, seller) | {
        "new": new, "duplicates": kept.entries - new, "matched": outcomes.get("matched", 0),
        "reversed": outcomes.get("reversed", 0), "unmatched": outcomes.get("unmatched", 0),
        "ignored": outcomes.get("ignored", 0),
    }  # fmt: skip


def entry_to_wire(kept: KeptEntry, keys: Mapping[UUID, str]) -> dict[str, Any]:
    """`payment` is the payment that the entry is or, of a debit, takes back by `reversal`."""
    entry = kept.entry
    payment = reversal = None
    if kept.payer_id is not None and kept.payment_id is not None:
        payment = public_id("pay", kept.payer_id, kept.payment_id)
        reversal = None if kept.cause_id is None else public_id("prv", kept.payer_id, kept.cause_id)
    return {
        "id": public_id("ben", kept.seller_id, kept.entry_id), "seller": keys[kept.seller_id],
        "statement": public_id("bst", kept.seller_id, kept.statement_id), "account": entry.account or None,
        "booked_on": entry.booked_on.isoformat(), "value_on": entry.value_on.isoformat() if entry.value_on else None,
        "amount": amount_text(entry.amount, entry.currency), "currency": entry.currency,
        "direction": entry.direction, "name": entry.name or None,
        "counterparty_account": entry.counterparty_account or None, "references": list(entry.references),
        "text": entry.text or None, "end_to_end_id": entry.end_to_end_id or None,
        "bank_reference": entry.entry_reference or entry.transaction_reference or None,
        "is_returned": entry.is_returned, "return_reason": entry.return_reason or None, "status": kept.status,
        "matched_by": kept.matched_by, "tenant": None if kept.payer_id is None else keys[kept.payer_id],
        "payment": payment, "reversal": reversal, "reason": kept.reason or None,
        "created_at": instant_text(kept.created_at),
        "settled_at": instant_text(kept.settled_at) if kept.settled_at else None,
    }  # fmt: skip


def mapping_from_text(text: str) -> CsvMapping:
    """The mapping of a query parameter. Raises InvalidInput."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput.at("mapping", "must be a JSON object") from None
    return mapping_from_wire(body, "mapping")
