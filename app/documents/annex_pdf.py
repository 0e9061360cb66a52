"""The annex of a document as PDF: each line from the measured quantity to its amount, in words and numbers.

It says what `explanation` says of every line, one after the other, for a reader who has the invoice in the other hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.documents import wording
from app.documents.explanation import explanation_lines
from app.documents.typesetting import Template
from app.documents.wording import TEXTS, Language
from app.domain.explanations import Explanation
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.periods import parse_zone

_TEMPLATE = Template("annex.typ")
_INDENT = "  "

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Annex: {document}", "subtitle": "How each amount comes about", "by_hand": "Written by a person.",
    },
    "fr": {
        "title": "Annexe : {document}", "subtitle": "Comment chaque montant est calculé",
        "by_hand": "Ligne saisie par une personne.",
    },
}  # fmt: skip


def render_annex(invoice: Invoice, explained: Sequence[Explanation | None], *, language: Language) -> bytes:
    """PDF/A-3b, dated as the document is. `explained` are the document's lines in order; None of a line that was not
    rated from a plan."""
    words = _WORDS[language]
    name = f"{TEXTS[language][invoice.type]} {invoice.number}".strip()
    content = {
        "language": language,
        "title": words["title"].format(document=name),
        "subtitle": words["subtitle"],
        "seller": invoice.seller.name,
        "running": f"{invoice.seller.name} · {name}",
        "lines": [
            _line(invoice, line, found, language) for line, found in zip(invoice.lines, explained, strict=True)
        ],
    }  # fmt: skip
    return _TEMPLATE.pdf(content, at=invoice.issued_at or invoice.period.end)


def _line(invoice: Invoice, line: InvoiceLine, found: Explanation | None, language: Language) -> dict[str, Any]:
    period = wording.period(line.period, parse_zone(invoice.time_zone), language)
    # The first line of an explanation is the heading.
    texts = [_WORDS[language]["by_hand"]] if found is None else explanation_lines(found, language)[1:]
    return {
        "heading": f"{line.description or line.charge}, {period}",
        "amount": wording.amount(line.amount, invoice.currency, language),
        "rows": [{"text": text.strip(), "level": int(text.startswith(_INDENT))} for text in texts],
    }
