"""How does a document become an e-invoice, and what does it lack to be one?

One component of a line is one line of the e-invoice: 120 kWh in two tiers are 100 x 0.30 and 20 x 0.25. A discount on a
line of one component is an allowance of that line; on one of several it is an allowance of the document, in the line's
VAT group, and so is promotional credit.

A document that lacks something is still lawful on paper in most places: `missing` says what, with a pointer into the
document as the interface shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from app.documents import french_rules, wording
from app.documents.e_invoice import (
    AmountOff,
    CreditTransfer,
    Days,
    EInvoice,
    ELine,
    ETotals,
    Identifier,
    IncludedNote,
    Preceding,
    TradeParty,
    TypeCode,
    VatGroup,
)
from app.documents.e_invoice_checks import disagreements
from app.documents.vatex import VATEX_CODES
from app.documents.wording import TEXTS, Language
from app.domain.charge_models import Component
from app.domain.charge_models.components import IN_THE_UNIT
from app.domain.errors import AmountsDisagree, FieldProblem, NoEInvoice
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import CURRENCY_DECIMALS, ZERO, round_amount
from app.domain.parties import Address, BuyerReferences, ElectronicAddress, Party
from app.domain.periods import Period, local_date, parse_zone
from app.domain.references import creditor_reference
from app.domain.tax import TaxGroup, TaxRate
from app.domain.units import ONE, unit_code

_TYPE_CODES: dict[str, TypeCode] = {
    "invoice": "380", "credit_note": "381", "prepayment": "386", "statement": "389",
}  # fmt: skip

MAX_PRICE_DECIMALS = 6
"""A net price of more decimals is stated per 1,000, per 1,000,000 or per 1,000,000,000 (BT-149)."""
_BASES = (Decimal(1), Decimal(1_000), Decimal(1_000_000), Decimal(1_000_000_000))

_BY_DIFFERENCE = ("commitment_overage",)
"""Components that are the difference of two rounded sums: quantity x price may miss them by a cent, so they are lines
of quantity 1."""

_SUPPLEMENTS = ("maximum", "minimum", "commitment", "commitment_overage", "plan_minimum")
"""Components that no discount of the line was taken from."""


def e_invoice_of(invoice: Invoice) -> EInvoice:
    """The issued document as an e-invoice. Raises NoEInvoice, with what is missing, or AmountsDisagree."""
    problems = tuple(missing(invoice))
    if problems:
        raise NoEInvoice(
            "No e-invoice can be made of this document; it goes out as PDF and in plain forms.",
            problems=problems, invoice_id=invoice.id,
        )  # fmt: skip
    document = _e_invoice(invoice)
    found = list(disagreements(document))
    if found:
        raise AmountsDisagree(f"The amounts of this document disagree: {'; '.join(found)}.", invoice_id=invoice.id)
    return document


def refuse_disagreements(invoice: Invoice) -> None:
    """Raises AmountsDisagree where the document can be an e-invoice and its amounts do not follow from one another."""
    if not any(missing(invoice)):
        e_invoice_of(invoice)


def _e_invoice(invoice: Invoice) -> EInvoice:
    assert invoice.issued_at is not None
    language, zone = wording.language_of(invoice.language), parse_zone(invoice.time_zone)
    lines, moved = _lines(invoice, zone, language)
    credit = tuple(
        AmountOff(use.amount, wording.allowance(use.description, language), False, use.tax.category, _rate(use.tax))
        for use in invoice.allowances
    )
    allowances = (*moved, *credit)
    period = _days(invoice.period, zone)
    out_of_scope = any(group.category == "O" for group in invoice.tax)
    return EInvoice(
        number=invoice.number, issued_on=local_date(invoice.issued_at, zone), type_code=_TYPE_CODES[invoice.type],
        currency=invoice.currency, due_on=invoice.due_date, references=_references(invoice),
        terms=_terms(invoice, language), notes=_notes(invoice, language), process=_process(invoice),
        preceding=tuple(
            Preceding(item.number, local_date(item.issued_at, zone)) for item in invoice.references
        ),
        seller=_party(invoice.seller, without_vat=out_of_scope, sells=True, language=language),
        buyer=_party(invoice.buyer, without_vat=out_of_scope, sells=False, language=language),
        delivered_on=period.last, delivery_address=_delivery_address(invoice), period=period,
        payment=_payment(invoice), allowances=allowances, totals=_totals(invoice, lines, allowances),
        vat=tuple(_vat(group, invoice, language) for group in invoice.tax), lines=lines,
        vat_due=_vat_due(invoice),
        accounting_currency="" if invoice.accounting_tax is None else invoice.accounting_tax.currency,
        accounting_vat=None if invoice.accounting_tax is None else invoice.accounting_tax.amount,
    )  # fmt: skip


def _days(period: Period, zone: ZoneInfo) -> Days:
    """The local days that the period touches."""
    first = local_date(period.start, zone)
    last = local_date(period.end - timedelta(microseconds=1), zone)
    return Days(first, max(first, last))


def _references(invoice: Invoice) -> BuyerReferences:
    return BuyerReferences(
        invoice.purchase_order, invoice.buyer_reference, invoice.contract_reference, invoice.project_reference,
        invoice.cost_centre,
    )  # fmt: skip


def _terms(invoice: Invoice, language: Language) -> str:
    texts = TEXTS[language]
    if invoice.type == "credit_note":
        return texts["credit_terms"]
    return texts["payable_by"].format(date=wording.day(invoice.due_date, language)) if invoice.due_date else ""


def _notes(invoice: Invoice, language: Language) -> tuple[IncludedNote, ...]:
    """What is said besides; by a French seller what its law wants to be said (BR-FR-05, BR-FR-20)."""
    own = tuple(IncludedNote(text, "AAI") for text in wording.remarks(invoice))
    if french_rules.apply_to(invoice.seller):
        return (*(IncludedNote(text, code) for code, text in french_rules.notes(invoice, language)), *own)
    terms = (("PMT", invoice.seller.recovery_terms), ("PMD", invoice.seller.penalty_terms),
             ("AAB", invoice.seller.discount_terms))  # fmt: skip
    return (*(IncludedNote(text, code) for code, text in terms if text), *own)


def _process(invoice: Invoice) -> str:
    return french_rules.business_process(invoice) if french_rules.apply_to(invoice.seller) else ""


def _vat_due(invoice: Invoice) -> str:
    """When the VAT falls due, where the seller's regime says so and there is any."""
    if not any(group.category == "S" for group in invoice.tax):
        return ""
    return {"on_debits": "5", "on_payment": "72"}.get(invoice.seller.vat_regime or "", "")


def _delivery_address(invoice: Invoice) -> Address | None:
    """Where the buyer was served. A supply to another member state names the country in any case (BR-IC-12)."""
    if invoice.delivery_address is None and any(group.category == "K" for group in invoice.tax):
        return invoice.buyer.address
    return invoice.delivery_address


def _payment(invoice: Invoice) -> CreditTransfer | None:
    seller = invoice.seller
    if not seller.iban or invoice.type == "credit_note":
        return None
    means = "58" if invoice.currency == "EUR" else "30"
    return CreditTransfer(
        means, creditor_reference(invoice.number) or invoice.number, seller.iban, seller.name, seller.bic
    )


def _party(party: Party, *, without_vat: bool, sells: bool, language: Language) -> TradeParty:
    """`without_vat`: what is out of VAT's scope names no VAT number of either (BR-O-02)."""
    assert party.address is not None
    siren = french_rules.siren(party)
    siret = (Identifier(french_rules.compact(party.siret), "0009"),) if party.siret else ()
    number = Identifier(siren, "0002") if siren else Identifier(party.registration) if party.registration else None
    vat_number = "" if without_vat else french_rules.compact(party.vat_number)
    return TradeParty(
        name=party.name, address=party.address, identifiers=siret, legal_number=number, vat_number=vat_number,
        # Whoever has no VAT number is known to its tax office by its registration (BT-32 has no list of its own).
        tax_number=party.registration if sells and not vat_number and not without_vat else "",
        legal_form=wording.legal_form(party, language) if sells else "",
        electronic_address=electronic_address(party), contact=party.contacts[0] if party.contacts else None,
    )  # fmt: skip


# Lists of VAT numbers among the schemes of electronic addresses (EAS), by the country of the number.
_VAT_SCHEMES = {
    "AT": "9914", "BE": "9925", "BG": "9926", "CH": "9927", "CY": "9928", "CZ": "9929", "DE": "9930", "EE": "9931",
    "GB": "9932", "GR": "9933", "EL": "9933", "HR": "9934", "HU": "9910", "IE": "9935", "LI": "9936", "LT": "9937",
    "LU": "9938", "LV": "9939", "MC": "9940", "MT": "9943", "NL": "9944", "PL": "9945", "PT": "9946", "RO": "9947",
    "SI": "9949", "SK": "9950", "ES": "9920", "IT": "0211", "FR": "9957",
}  # fmt: skip


def electronic_address(party: Party) -> ElectronicAddress | None:
    """Where e-invoices of the party go: where it says, and else by its SIREN, its VAT number, or its e-mail."""
    if party.electronic_address is not None:
        return party.electronic_address
    siren = french_rules.siren(party)
    if siren:
        return ElectronicAddress("0225", siren)
    number = french_rules.compact(party.vat_number)
    if number[:2] in _VAT_SCHEMES:
        return ElectronicAddress(_VAT_SCHEMES[number[:2]], number)
    email = next((contact.email for contact in party.contacts if contact.email), "")
    return ElectronicAddress("EM", email) if email else None


# --- lines ------------------------------------------------------------------------------------------------------------


def _lines(invoice: Invoice, zone: ZoneInfo, language: Language) -> tuple[tuple[ELine, ...], tuple[AmountOff, ...]]:
    """The lines, and the allowances of lines that stand at the document as a whole."""
    found: list[ELine] = []
    moved: list[AmountOff] = []
    for index, line in enumerate(invoice.lines):
        taken = _bearer(line)
        components = line.components or (_whole(line),)
        for number, item in enumerate(components):
            allowances = tuple(_of_line(line, language)) if number == taken else ()
            found.append(_line(item, line, invoice, zone, language, at=(index, number), allowances=allowances))
        if taken is None:
            moved += [_of_document(item, line, language) for item in _of_line(line, language)]
    return tuple(found), tuple(moved)


def _bearer(line: InvoiceLine) -> int | None:
    """Which component of the line bears its allowances: the one that they were taken from. None where it is not one."""
    off = sum((item.amount for item in line.allowances), ZERO)
    items = list(enumerate(line.components))
    priced = items if len(items) == 1 else [(at, item) for at, item in items if item.kind not in _SUPPLEMENTS]
    if len(priced) != 1:
        return None
    number, bearer = priced[0]
    return number if abs(off) <= abs(bearer.amount) else None


def _of_line(line: InvoiceLine, language: Language) -> Iterator[AmountOff]:
    for item in line.allowances:
        reason = wording.allowance(item.description, language)
        if item.amount:
            yield AmountOff(abs(item.amount), reason, adds=item.amount < 0)


def _of_document(item: AmountOff, line: InvoiceLine, language: Language) -> AmountOff:
    return AmountOff(
        item.amount, f"{item.reason} {wording.EN_DASH} {line.description or line.charge}", item.adds, line.tax.category,
        _rate(line.tax),
    )  # fmt: skip


def _whole(line: InvoiceLine) -> Component:
    """A line that is no sum of components, as one: what it comes to before its allowances."""
    amount = line.amount + sum((item.amount for item in line.allowances), ZERO)
    return Component("flat", Decimal(-1 if amount < 0 else 1), abs(amount), amount)


def _line(
    item: Component, line: InvoiceLine, invoice: Invoice, zone: ZoneInfo, language: Language, *, at: tuple[int, int],
    allowances: tuple[AmountOff, ...],
) -> ELine:  # fmt: skip
    name = line.description or line.charge
    index, number = at
    several = len(line.components) > 1
    quantity, unit_price = item.quantity, item.unit_price
    if item.kind in _BY_DIFFERENCE:
        quantity, unit_price = Decimal(-1 if item.amount < 0 else 1), abs(item.amount)
    price, base = priced_per(unit_price)
    code = _unit_code(line) if item.kind in IN_THE_UNIT else ONE
    off = sum((part.signed for part in allowances), ZERO)
    return ELine(
        id=f"{index + 1}.{number + 1}" if several else str(index + 1),
        name=f"{name} {wording.EN_DASH} {wording.component(item, language)}" if several else name,
        quantity=quantity, unit_code=code, price=price, price_base=base, amount=item.amount + off,
        category=line.tax.category, rate=_rate(line.tax), period=_days(line.period, zone),
        description=wording.line_note(line, invoice, zone, language), allowances=allowances,
        cost_centre=line.references.cost_centre,
        source=f"#/lines/{index}/components/{number}" if line.components else f"#/lines/{index}",
    )  # fmt: skip


def priced_per(unit_price: Decimal) -> tuple[Decimal, Decimal]:
    """The price with at most 6 decimals and for how many units it is: 0.00000012 is 0.12 for 1,000,000."""
    for base in _BASES:
        price = unit_price * base
        if decimals_of(price) <= MAX_PRICE_DECIMALS:
            return price, base
    return unit_price * _BASES[-1], _BASES[-1]


def decimals_of(number: Decimal) -> int:
    """How many decimals the number needs to be written out: of 1.50 one, of 1E+3 none."""
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(-exponent, 0)


def _unit_code(line: InvoiceLine) -> str:
    meter = line.trace.get("meter") or {}
    return unit_code(stated=meter.get("unit_code", ""), text=line.unit)


def _rate(tax: TaxRate | TaxGroup) -> Decimal | None:
    """The rate in percent; None out of VAT's scope, where there is none (BR-O-05)."""
    return None if tax.category == "O" else tax.rate


# --- tax and totals ---------------------------------------------------------------------------------------------------

# What a document says of a category where the tax rate gives no reason of its own: a code of the VATEX list.
_REASONS = {"AE": "VATEX-EU-AE", "K": "VATEX-EU-IC", "G": "VATEX-EU-G", "O": "VATEX-EU-O"}


def _vat(group: TaxGroup, invoice: Invoice, language: Language) -> VatGroup:
    reason, code = "", ""
    if group.category not in ("S", "Z"):
        code = _REASONS.get(group.category, "")
        reason = TEXTS[language][f"category_{group.category}"]
        if group.exemption is not None:
            reason, code = group.exemption.reason or reason, group.exemption.code
        elif group.category == "E" and invoice.seller.vat_regime == "franchise":
            reason, code = french_rules.FRANCHISE_REASON, french_rules.FRANCHISE_CODE
    return VatGroup(group.category, _rate(group), group.base, group.amount, reason, code if code in VATEX_CODES else "")


def _totals(invoice: Invoice, lines: tuple[ELine, ...], allowances: tuple[AmountOff, ...]) -> ETotals:
    """What the document says its totals are; that they follow from the lines is for the checks to say."""
    return ETotals(
        lines=sum((line.amount for line in lines), ZERO),
        allowances=sum((item.amount for item in allowances if not item.adds), ZERO),
        charges=sum((item.amount for item in allowances if item.adds), ZERO),
        net=invoice.net, vat=round_amount(invoice.total - invoice.net, invoice.currency), gross=invoice.total,
        # Payments stand outside of what a document says.
        paid=ZERO, due=invoice.total,
    )  # fmt: skip


# --- what is missing --------------------------------------------------------------------------------------------------


def missing(invoice: Invoice) -> Iterator[FieldProblem]:
    """All that keeps the document from being an e-invoice; nothing where it can be one."""
    if invoice.status != "issued":
        yield FieldProblem("#/status", "A draft has no number; an e-invoice is made of an issued document.")
        return
    if CURRENCY_DECIMALS[invoice.currency] > 2:
        yield FieldProblem("#/currency", "Amounts of an e-invoice have two decimals at most (BR-DEC).")
    if not invoice.lines:
        yield FieldProblem("#/lines", "An e-invoice has at least one line (BR-16).")
    yield from _missing_of("seller", invoice.seller)
    yield from _missing_of("buyer", invoice.buyer)
    yield from _missing_numbers(invoice)
    yield from _missing_tax(invoice)
    if french_rules.apply_to(invoice.seller):
        yield from french_rules.missing(invoice, buyer_address=electronic_address(invoice.buyer))
        yield from _too_fine(invoice)


def _missing_of(side: str, party: Party) -> Iterator[FieldProblem]:
    if party.address is None:
        yield FieldProblem(f"#/parties/{side}/address", f"The {side}'s address is missing.")


def _missing_numbers(invoice: Invoice) -> Iterator[FieldProblem]:
    seller, buyer = invoice.seller, invoice.buyer
    categories = {group.category for group in invoice.tax}
    if not (seller.registration or seller.siret or seller.vat_number):
        yield FieldProblem(
            "#/parties/seller/registration", "The seller has neither a registration nor a VAT number (BR-CO-26)."
        )
    elif "O" in categories and not (seller.registration or seller.siret):
        yield FieldProblem(
            "#/parties/seller/registration",
            "What is out of VAT's scope names no VAT number, so the seller needs a registration (BR-O-02, BR-CO-26).",
        )
    if categories & {"S", "Z", "E", "AE"} and not (seller.vat_number or seller.registration):
        yield FieldProblem("#/parties/seller/vat_number", "The seller's VAT number is missing (BR-S-02).")
    if categories & {"K", "G"} and not seller.vat_number:
        yield FieldProblem("#/parties/seller/vat_number", "The seller's VAT number is missing (BR-IC-02, BR-G-02).")
    if "K" in categories and not buyer.vat_number:
        yield FieldProblem("#/parties/buyer/vat_number", "The buyer's VAT number is missing (BR-IC-02).")
    if "AE" in categories and not (buyer.vat_number or buyer.registration):
        yield FieldProblem("#/parties/buyer/vat_number", "The buyer's VAT number is missing (BR-AE-02).")


def _missing_tax(invoice: Invoice) -> Iterator[FieldProblem]:
    categories = [group.category for group in invoice.tax]
    if "O" in categories and len(categories) > 1:
        yield FieldProblem("#/tax", "What is out of VAT's scope stands on documents of its own (BR-O-11).")


def _too_fine(invoice: Invoice) -> Iterator[FieldProblem]:
    """Quantities of more than 4 decimals, which a French e-invoice cannot state (BR-FR-DEC-02)."""
    most = french_rules.MAX_QUANTITY_DECIMALS
    for index, line in enumerate(invoice.lines):
        for number, item in enumerate(line.components):
            if item.kind not in _BY_DIFFERENCE and decimals_of(item.quantity) > most:
                yield FieldProblem(
                    f"#/lines/{index}/components/{number}/quantity",
                    f"{item.quantity:f} has more than {most} decimals: a meter for French e-invoices rounds to {most} "
                    "before pricing (its `rounding`).",
                )
