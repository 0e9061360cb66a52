"""An issued document as a file that proves itself: its content, its hash, and all that its amounts are computed from.

    {"format": "quotepart-document/1", "sequence": 42, "hash": "..", "content": {..}, "traces": {"ln_1": {..}},
     "digests": {"seller": "..", "lines/ln_1": "..", ..}}

It is written in one form only (keys in order, no spaces, UTF-8, one line), so that every byte of it is determined. The
hash is SHA-256 of the content in that form; each line's content holds the digest of its trace, and the content that of
the document before it. The digests of the parts say which one is another than it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from app.domain.charge_models import read_component
from app.domain.credit import CreditUse
from app.domain.events import parse_instant
from app.domain.invoices import (
    NO_REMARKS,
    AccountingTax,
    Invoice,
    InvoiceLine,
    Reference,
    Remarks,
    canonical,
    content,
)
from app.domain.kept_parties import read_address, read_party, read_references
from app.domain.parties import REFERENCE_NAMES
from app.domain.periods import Period
from app.domain.rating.lines import Allowance
from app.domain.tax import Exemption, TaxGroup, TaxRate

FORMAT = "quotepart-document/1"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a file says: the document, its place in its series, the hash it claims, and the digests of its parts."""

    invoice: Invoice
    sequence: int
    hash: str
    content: Mapping[str, Any]
    digests: Mapping[str, str]


def seal(invoice: Invoice, sequence: int) -> bytes:
    """The file of an issued document: one line."""
    fixed = content(invoice)
    whole = {
        "format": FORMAT, "sequence": sequence, "hash": invoice.hash, "content": fixed,
        "traces": {line.id: line.trace for line in invoice.lines}, "digests": part_digests(fixed),
    }  # fmt: skip
    return canonical(whole) + b"\n"


def part_digests(fixed: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of each field of a content, and of each line by itself."""
    parts = {name: value for name, value in fixed.items() if name != "lines"}
    parts |= {f"lines/{line['id']}": line for line in fixed["lines"]}
    return {name: sha256(canonical(value)).hexdigest() for name, value in sorted(parts.items())}


def open_sealed(text: bytes) -> Sealed:
    """Raises ValueError where it is no such file, with a sentence that says why."""
    try:
        whole = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(whole, dict) or whole.get("format") != FORMAT:
        raise ValueError(f"is no document of the form {FORMAT}")
    try:
        invoice = _invoice(whole["content"], whole["traces"], whole["hash"])
        return Sealed(invoice, int(whole["sequence"]), whole["hash"], whole["content"], dict(whole["digests"]))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"cannot be read: {type(error).__name__} {error}") from error


def first_other_byte(text: bytes) -> int | None:
    """Where the text leaves the one form that it may have, counted from 0; None where it does not."""
    wanted = canonical(json.loads(text, parse_float=Decimal))
    found = text.rstrip(b"\n")
    if wanted == found:
        return None
    pairs = zip(wanted, found, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(wanted), len(found)))


# --- reading a content ------------------------------------------------------------------------------------------------


def _invoice(kept: Mapping[str, Any], traces: Mapping[str, Any], hash: str) -> Invoice:
    return Invoice(
        id=kept["id"], type=kept["type"], status="issued", number=kept["number"], seller=read_party(kept["seller"]),
        buyer=read_party(kept["buyer"]), currency=kept["currency"], language=kept["language"],
        time_zone=kept["time_zone"], period=_period(kept["period"]), issued_at=parse_instant(kept["issued_at"]),
        due_date=kept["due_date"] and date.fromisoformat(kept["due_date"]),
        lines=tuple(_line(line, traces[line["id"]]) for line in kept["lines"]), net=Decimal(kept["net"]),
        tax=tuple(map(_group, kept["tax"])), total=Decimal(kept["total"]), hash=hash,
        references=tuple(Reference(id, number, parse_instant(at)) for id, number, at in kept["references"]),
        previous_hash=kept["previous_hash"], allowances=tuple(map(_use, kept.get("allowances", ()))),
        remarks=Remarks(**kept["remarks"]) if "remarks" in kept else NO_REMARKS,
        delivery_address=read_address(kept.get("delivery_address")), accounting_tax=_accounting_tax(kept),
        **{name: kept[name] for name in REFERENCE_NAMES if name in kept},
    )  # fmt: skip


def _line(kept: Mapping[str, Any], trace: dict[str, Any]) -> InvoiceLine:
    category, rate = kept["tax"]
    return InvoiceLine(
        id=kept["id"], kind=kept["kind"], subscription=kept["subscription"], charge=kept["charge"],
        description=kept["description"], period=_period(kept["period"]), quantity=Decimal(kept["quantity"]),
        unit=kept["unit"], amount=Decimal(kept["amount"]),
        tax=TaxRate(category, Decimal(rate), _exemption(kept.get("exemption"))),
        components=tuple(map(read_component, kept["components"])),
        allowances=tuple(Allowance(text, Decimal(amount)) for text, amount in kept["allowances"]),
        reopens_usage=kept["reopens_usage"], trace=trace, supply=kept.get("supply", ""),
        references=read_references(kept.get("references", {})),
    )  # fmt: skip


def _group(kept: list[Any]) -> TaxGroup:
    category, rate, base, amount, *exemption = kept
    return TaxGroup(category, Decimal(rate), Decimal(base), Decimal(amount), _exemption(*exemption))


def _exemption(kept: Mapping[str, str] | None = None) -> Exemption | None:
    return None if kept is None else Exemption(kept.get("code", ""), kept["reason"])


def _use(kept: list[str]) -> CreditUse:
    grant, description, amount, category, rate = kept
    return CreditUse(UUID(hex=grant), description, Decimal(amount), TaxRate(category, Decimal(rate)))


def _accounting_tax(whole: Mapping[str, Any]) -> AccountingTax | None:
    kept = whole.get("accounting_tax")
    if kept is None:
        return None
    return AccountingTax(
        kept["currency"], Decimal(kept["amount"]), Decimal(kept["rate"]), kept["source"],
        date.fromisoformat(kept["date"]),
    )  # fmt: skip


def _period(kept: list[str]) -> Period:
    return Period(parse_instant(kept[0]), parse_instant(kept[1]))
