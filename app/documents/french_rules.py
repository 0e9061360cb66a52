"""What does French law want of a seller's invoices, on paper and as e-invoices?

The mentions of articles 242 nonies A of annex II of the tax code and L441-9 of the commercial code, and the rules that
the French platforms check (BR-FR, XP Z12-012). A garage that sells charging to a company writes its form, capital and
register, three terms of payment, that it is a service (S1), and to whom it goes (B2B).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from app.documents.wording import Language
from app.domain.errors import FieldProblem
from app.domain.invoices import Invoice
from app.domain.parties import ElectronicAddress, Party
from app.domain.periods import local_date, parse_zone

MAX_QUANTITY_DECIMALS = 4

FRANCHISE_REASON = "TVA non applicable, art. 293 B du CGI"
FRANCHISE_CODE = "VATEX-FR-FRANCHISE"

# Rates that were in force in some part of France at some time, as the platforms know them (BR-FR-16).
_RATES = frozenset(
    map(Decimal, ["0", "0.9", "1.05", "1.75", "2.1", "5.5", "7", "8.5", "9.2", "9.6", "10", "13", "19.6", "20", "20.6"])
)  # fmt: skip

_NUMBER = re.compile(r"[A-Za-z0-9+\-_/]{1,35}")
_SIREN = re.compile(r"[0-9]{9}")
_FRENCH_VAT_NUMBER = re.compile(r"FR[0-9A-Z]{2}([0-9]{9})")

_GOODS = ("goods", "electricity")

_TERMS: dict[Language, dict[str, str]] = {
    "en": {
        "PMT": "A flat fee of €40 for recovery costs is due in case of late payment.",
        "PMD": "Late payment penalties: three times the legal interest rate.",
        "AAB": "No discount for early payment.",
        "on_debits": "VAT is due when invoiced (option for payment on debits).",
        "on_payment": "VAT is due when paid.",
        "self_billed": "Self-billing.",
        "vat_group": "Member of a VAT group (single taxable person).",
    },
    "fr": {
        "PMT": "Indemnité forfaitaire pour frais de recouvrement en cas de retard de paiement : 40 €.",
        "PMD": "Pénalités de retard : trois fois le taux d’intérêt légal.",
        "AAB": "Pas d’escompte pour paiement anticipé.",
        "on_debits": "Option pour le paiement de la taxe d’après les débits.",
        "on_payment": "TVA acquittée sur les encaissements.",
        "self_billed": "Autofacturation.",
        "vat_group": "Membre d’un assujetti unique.",
    },
}


def apply_to(seller: Party) -> bool:
    return seller.address is not None and seller.address.country == "FR"


def siren(party: Party) -> str:
    """The nine digits that a French company is known by: its registration, the first of its SIRET, or the last of its
    VAT number. '' for companies of other countries."""
    if party.address is None or party.address.country != "FR":
        return ""
    for number in (compact(party.registration), compact(party.siret)[:9]):
        if _SIREN.fullmatch(number):
            return number
    found = _FRENCH_VAT_NUMBER.fullmatch(compact(party.vat_number))
    return found[1] if found else ""


def compact(number: str) -> str:
    """The number without the spaces, points and hyphens that people group it with: 732 829 320 is 732829320."""
    return re.sub(r"[\s.\-]", "", number).upper()


# --- what is said -----------------------------------------------------------------------------------------------------


def terms(seller: Party, language: Language) -> dict[str, str]:
    """The flat fee for recovery (PMT), the penalties (PMD) and the discount (AAB): what the seller says, or else what
    holds by law."""
    said = {"PMT": seller.recovery_terms, "PMD": seller.penalty_terms, "AAB": seller.discount_terms}
    return {code: text or _TERMS[language][code] for code, text in said.items()}


def regime_mentions(invoice: Invoice, language: Language) -> list[str]:
    """When the VAT falls due, and what else is to be said of who owes it."""
    texts, regime = _TERMS[language], invoice.seller.vat_regime
    found = [texts["self_billed"]] if invoice.type == "statement" else []
    if regime == "franchise":
        return [*found, f"{FRANCHISE_REASON}."]
    return [*found, texts[regime]] if regime in ("on_debits", "on_payment", "vat_group") else found


def notes(invoice: Invoice, language: Language) -> Iterator[tuple[str, str]]:
    """(code, text) of each note of an e-invoice (BT-21, BT-22)."""
    yield from terms(invoice.seller, language).items()
    yield "BAR", "B2B" if siren(invoice.buyer) else "B2BINT"
    if invoice.seller.vat_regime == "vat_group":
        yield "TXD", "MEMBRE_ASSUJETTI_UNIQUE"
    elif invoice.seller.vat_regime == "on_debits":
        yield "AAI", _TERMS[language]["on_debits"]
    if invoice.type == "statement":
        yield "AAI", _TERMS[language]["self_billed"]


def business_process(invoice: Invoice) -> str:
    """What is invoiced (BT-23): goods (B1), services (S1), or both, neither being accessory to the other (M1)."""
    kinds = {line.supply in _GOODS for line in invoice.lines}
    return {frozenset({True}): "B1", frozenset({True, False}): "M1"}.get(frozenset(kinds), "S1")


# --- what is missing --------------------------------------------------------------------------------------------------


def missing(invoice: Invoice, *, buyer_address: ElectronicAddress | None) -> Iterator[FieldProblem]:
    """All that keeps the document of a French seller from passing the rules of the French platforms."""
    yield from _missing_of_parties(invoice, buyer_address)
    yield from _missing_of_document(invoice)
    for index, group in enumerate(invoice.tax):
        if group.rate not in _RATES:
            yield FieldProblem(f"#/tax/{index}/rate", f"{group.rate:f} % is no French rate of VAT (BR-FR-16).")


def _missing_of_parties(invoice: Invoice, buyer_address: ElectronicAddress | None) -> Iterator[FieldProblem]:
    seller, buyer = invoice.seller, invoice.buyer
    if not siren(seller):
        yield FieldProblem("#/parties/seller/registration", "The seller's SIREN, nine digits, is missing (BR-FR-10).")
    if buyer.address is not None and buyer.address.country == "FR" and not siren(buyer):
        yield FieldProblem("#/parties/buyer/registration", "The buyer's SIREN, nine digits, is missing (BR-FR-11).")
    elif buyer_address is None:
        yield FieldProblem(
            "#/parties/buyer/electronic_address",
            "The buyer's electronic address is missing: give it, or a VAT number or a contact's e-mail (BR-FR-12).",
        )
    elif siren(buyer) and not (buyer_address.scheme == "0225" and buyer_address.id.startswith(siren(buyer))):
        yield FieldProblem(
            "#/parties/buyer/electronic_address",
            "The electronic address of a French company is of scheme 0225 and begins with its SIREN (BR-FR-21).",
        )
    for side, party in (("seller", seller), ("buyer", buyer)):
        number = compact(party.siret)
        if number and not (re.fullmatch("[0-9]{14}", number) and number.startswith(siren(party))):
            yield FieldProblem(f"#/parties/{side}/siret", "A SIRET has 14 digits and begins with the SIREN (BR-FR-09).")


def _missing_of_document(invoice: Invoice) -> Iterator[FieldProblem]:
    assert invoice.issued_at is not None
    issued_on = local_date(invoice.issued_at, parse_zone(invoice.time_zone))
    if not _NUMBER.fullmatch(invoice.number):
        yield FieldProblem(
            "#/number", "A number has at most 35 characters, of letters, digits, +, -, _ and / (BR-FR-01, BR-FR-02)."
        )
    if invoice.type == "credit_note" and not invoice.references:
        yield FieldProblem("#/references", "A credit note cites the invoice that it lowers (BR-FR-CO-05).")
    if invoice.currency != "EUR" and (invoice.accounting_tax is None or invoice.accounting_tax.currency != "EUR"):
        yield FieldProblem(
            "#/accounting_tax", "In another currency than EUR the VAT is stated in EUR too, by a rate (BR-FR-CO-12)."
        )
    if invoice.due_date is not None and invoice.due_date < issued_on:
        yield FieldProblem("#/due_date", "It is due before the day of its issue (BR-FR-CO-07).")
