"""Check exported documents offline: form, digests, hashes, chain, numbers, and every amount from its trace.

A file holds one document or, one a line, those of a series in order. Of a series that begins later than with its first
document the link to what came before is not checked. VAT of a credit note is what earlier notes on its invoice have
left over; where those are not in the file, it is held to within one smallest unit of its own base's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from app.domain.invoices import Invoice, content, content_hash
from app.domain.money import ZERO, plain, round_amount, smallest_unit
from app.domain.numbering import parse_number
from app.domain.sealed_documents import Sealed, first_other_byte, open_sealed, part_digests
from app.domain.tax import TaxGroup, summed_groups
from app.operations.check_documents import Finding, line_findings, total_findings


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: in which line of the file, of which document ('' where it cannot be read), and where in it."""

    line: int
    number: str
    what: str
    expected: str = ""
    found: str = ""


@dataclass
class Verified:
    documents: int = 0
    lines: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.faults


def verify_documents(rows: Iterable[bytes]) -> Verified:
    """`rows` are the lines of a file; blank ones say nothing."""
    result = Verified()
    series = _Series()
    for position, row in enumerate(rows, 1):
        if not row.strip():
            continue
        try:
            found = open_sealed(row)
        except ValueError as error:
            result.faults.append(Fault(position, "", str(error)))
            series.broken()
            continue
        result.documents += 1
        result.lines += len(found.invoice.lines)
        for findings in (_of_form(row, found), series.check(found)):
            for what, expected, value in _collected(findings):
                result.faults.append(Fault(position, str(found.invoice.number), what, expected, value))
    return result


_NO_SUCH_FORM = (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, AssertionError)
"""What is raised by parts that are not of the form that a document has."""


def _collected(findings: Iterator[Finding]) -> list[Finding]:
    """All of them, up to what is not of the form that it should have: then that is the last."""
    found: list[Finding] = []
    try:
        found.extend(findings)
    except _NO_SUCH_FORM as error:
        found.append(("form", "that of a document", f"{type(error).__name__} {error}"))
    return found


def _of_form(row: bytes, sealed: Sealed) -> Iterator[Finding]:
    """The bytes, the hash and the digests; where the hash is another, which part is."""
    at = first_other_byte(row)
    if at is not None:
        yield f"byte {at}", "canonical form", repr(row[at : at + 20])
    digests = part_digests(sealed.content)
    for name in sorted(digests.keys() | sealed.digests.keys()):
        wanted, found = sealed.digests.get(name, "nothing"), digests.get(name, "nothing")
        if wanted != found:
            yield f"content/{name}", wanted, found
    invoice = sealed.invoice
    recomputed = content(invoice)
    for line, kept, made in zip(invoice.lines, sealed.content["lines"], recomputed["lines"], strict=True):
        if kept.get("trace") != made["trace"]:
            yield f"traces/{line.id}", str(kept.get("trace")), made["trace"]
    # The traces have been looked at: what else the reading has lost or added is of no known form.
    same = recomputed | {"lines": [made | {"trace": kept.get("trace")} for kept, made in
                                   zip(sealed.content["lines"], recomputed["lines"], strict=True)]}  # fmt: skip
    for name in sorted(same.keys() | sealed.content.keys()):
        if same.get(name) != sealed.content.get(name):
            yield f"content/{name}", "what this version writes", "another form"
    if content_hash(invoice) != sealed.hash:
        yield "hash", sealed.hash, content_hash(invoice)


class _Series:
    """What the documents before say of the next one."""

    def __init__(self) -> None:
        self._before: Sealed | None = None
        self._stems: dict[str, int] = {}
        self._credited: dict[str, list[TaxGroup]] = {}

    def broken(self) -> None:
        """The next document follows one that cannot be read."""
        self._before = None

    def check(self, sealed: Sealed) -> Iterator[Finding]:
        invoice = sealed.invoice
        if self._before is not None:
            yield from self._after(self._before, sealed)
        elif sealed.sequence == 1 and invoice.previous_hash:
            yield "previous_hash", "nothing", invoice.previous_hash
        stem, number = parse_number(invoice.number)
        if stem in self._stems and number != self._stems[stem] + 1:
            yield "number", f"{stem}{self._stems[stem] + 1}", invoice.number
        self._stems[stem] = number
        self._before = sealed
        for line in invoice.lines:
            for what, expected, found in _collected(line_findings(invoice, line)):
                yield f"lines/{line.id}: {what}", expected, found
        yield from self._totals(invoice)

    def _after(self, before: Sealed, sealed: Sealed) -> Iterator[Finding]:
        invoice, earlier = sealed.invoice, before.invoice
        if sealed.sequence != before.sequence + 1:
            yield "sequence", str(before.sequence + 1), str(sealed.sequence)
        if invoice.previous_hash != before.hash:
            yield "previous_hash", before.hash, invoice.previous_hash
        if invoice.issued_at and earlier.issued_at and invoice.issued_at < earlier.issued_at:
            yield "issued_at", f"not before {earlier.issued_at}", str(invoice.issued_at)

    def _totals(self, invoice: Invoice) -> Iterator[Finding]:
        if invoice.type != "credit_note" or not invoice.references:
            yield from total_findings(invoice)
            return
        earlier = self._credited.setdefault(invoice.references[0].invoice_id, [])
        if list(total_findings(invoice, summed_groups(earlier))):
            yield from _near_totals(invoice)
        earlier.extend(invoice.tax)


def _near_totals(note: Invoice) -> Iterator[Finding]:
    """Each group's VAT is its base's to within one smallest unit, and all else is exact."""
    unit = smallest_unit(note.currency)
    own = [round_amount(group.base * group.rate / 100, note.currency) for group in note.tax]
    for group, amount in zip(note.tax, own, strict=True):
        if abs(amount - group.amount) > unit:
            yield "tax", plain(amount), plain(group.amount)
    groups = tuple(replace(group, amount=amount) for group, amount in zip(note.tax, own, strict=True))
    change = sum(own, ZERO) - sum((group.amount for group in note.tax), ZERO)
    yield from total_findings(replace(note, tax=groups, total=note.total + change))
