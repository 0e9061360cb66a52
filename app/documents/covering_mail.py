"""The e-mail that a document is sent with, in the document's language.

Invoice 2026-000042 of Garage

Dear Sir or Madam, please find attached our invoice 2026-000042 of 1 November 2026 over €42.00, due by 1 December 2026.
"""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from app.documents.wording import Language, amount, day, language_of
from app.domain.invoices import Invoice
from app.domain.periods import local_date

_TEXTS: dict[Language, dict[str, str]] = {
    "en": {
        "invoice": "invoice", "credit_note": "credit note", "statement": "statement",
        "subject": "{kind} {number} of {seller}", "greeting": "Dear Sir or Madam,",
        "body": "please find attached our {kind} {number} of {date} over {total}.",
        "due": "It is due by {date}. Please quote its number when you pay.", "paid": "It is paid already.",
        "about": "It credits: {numbers}.", "regards": "Kind regards",
    },
    "fr": {
        "invoice": "facture", "credit_note": "avoir", "statement": "relevé",
        "subject": "{kind} {number} de {seller}", "greeting": "Madame, Monsieur,",
        "body": "veuillez trouver ci-joint le document suivant : {kind} {number} du {date}, d’un montant de {total}.",
        "due": "Date d’échéance : {date}. Merci de rappeler le numéro lors du règlement.", "paid": "Déjà réglé.",
        "about": "Document concerné : {numbers}.", "regards": "Cordialement",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CoveringMail:
    subject: str
    body: str
    language: Language


def covering_mail(invoice: Invoice) -> CoveringMail:
    """Subject and body for an issued document as of its issue."""
    assert invoice.issued_at is not None
    language = language_of(invoice.language)
    texts = _TEXTS[language]
    kind = texts[invoice.type]
    seller = invoice.seller.name
    date = day(local_date(invoice.issued_at, ZoneInfo(invoice.time_zone)), language)
    total = amount(invoice.total, invoice.currency, language)
    lines = [texts["greeting"], "", texts["body"].format(kind=kind, number=invoice.number, date=date, total=total)]
    if invoice.references:
        lines.append(texts["about"].format(numbers=", ".join(item.number for item in invoice.references)))
    if invoice.due_date is not None and invoice.total > 0:
        left = invoice.total > invoice.paid
        lines.append(texts["due"].format(date=day(invoice.due_date, language)) if left else texts["paid"])
    subject = texts["subject"].format(kind=kind[0].upper() + kind[1:], number=invoice.number, seller=seller)
    return CoveringMail(subject, "\n".join([*lines, "", texts["regards"], seller, ""]), language)
