"""What does an invoice look like on paper?

`render_pdf` prints the content that is fixed at issue, in the buyer's language, as PDF/A-3b: the same invoice gives the
same bytes, today and in ten years. Payments and later credit notes are no part of it; the amount due is the total.
Here every text is made; `invoice.typ` only lays out, and reads what it is given as text, never as markup.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import typst

from app.documents import french_rules, wording
from app.documents.payment_code import payment_code
from app.documents.typesetting import Template
from app.documents.use_chart import UseChart, round_for_reading, use_charts
from app.documents.wording import TEXTS, Language
from app.domain.charge_models import Component
from app.domain.charge_models.components import IN_THE_UNIT, OF_MEASURED_USE
from app.domain.invoices import AccountingTax, Invoice, InvoiceLine, line_groups
from app.domain.money import ZERO, round_amount
from app.domain.parties import REFERENCE_NAMES, Logo, Party
from app.domain.periods import local_date, parse_zone
from app.domain.references import creditor_reference, printed_reference

_TEMPLATE = Template("invoice.typ")

_MAX_KEPT_PARTS = 24
_MAX_KEPT_CHARACTERS = 1_500
_MAX_RUNNING_NAME = 50

_INK = "#1b2530"
_LOGO_FORMATS = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}

# Amounts of events at a bound are not among the quantities: what is missing there was not free.
_OF_SINGLE_EVENTS = ("event_minimum", "event_maximum")


def render_pdf(invoice: Invoice, *, logo: Logo | None = None) -> bytes:
    """The document as PDF/A-3b, dated with its issue; a draft carries a watermark and the end of its period as date.

    `logo` is the picture that the seller of the document names; one that cannot be drawn is left out.
    """
    try:
        return _rendered(invoice, logo)
    except typst.TypstError:
        if logo is None:
            raise
        return _rendered(invoice, None)


def _rendered(invoice: Invoice, logo: Logo | None) -> bytes:
    at = invoice.issued_at or invoice.period.end
    return _TEMPLATE.pdf(_content(invoice), at=at, as_they_are=_graphics(invoice, logo))


# --- the content -----------------------------------------------------------------------------------------------------


def _content(invoice: Invoice) -> dict[str, Any]:
    language = wording.language_of(invoice.language)
    zone = parse_zone(invoice.time_zone)
    texts = TEXTS[language]
    heading = texts[invoice.type]
    name = f"{heading} {invoice.number}".strip()
    return {
        "language": language,
        "title": name,
        "heading": heading,
        "number": invoice.number or None,
        "running": f"{_short(invoice.seller.name)} · {name}",
        "continued": texts["continued"],
        "draft": texts["draft"] if invoice.status == "draft" else None,
        "references": [wording.reference(item, invoice, zone, language) for item in invoice.references],
        "facts": _facts(invoice, zone, language),
        "seller": _party(texts["seller"], invoice.seller, language) | {"contacts": _contacts(invoice.seller)},
        "buyer": _party(texts["buyer"], invoice.buyer, language) | {"lines": _window(invoice.buyer, language)},
        "delivery": _delivery(invoice, language),
        "heads": [texts[head] for head in ("description", "quantity", "unit_price", "vat", "amount")],
        "lines": _grouped(invoice, zone, language),
        "empty": texts["no_lines"],
        "charts": [_chart(chart, language) for chart in use_charts(invoice)],
        "tax": _tax(invoice, language),
        "totals": _totals(invoice, language),
        "due": _due(invoice, language),
        "payment": _payment(invoice, language),
        "mentions": _mentions(invoice, language),
        "mentions_title": texts["mentions"],
        "legal": _legal_line(invoice.seller, language),
        "footer": _footer(invoice, name, language),
    }


def _graphics(invoice: Invoice, logo: Logo | None) -> dict[str, Any]:
    """What is no text, and is laid out as it is."""
    colour = invoice.seller.colour
    return {
        "accent": colour if re.fullmatch("#[0-9a-fA-F]{6}", colour) else _INK,
        "logo": None if logo is None else {"format": _LOGO_FORMATS[logo.name.media_type], "data": list(logo.content)},
        "code": _code(invoice),
        # Windows of envelopes are on the right in France, and on the left elsewhere.
        "window": "right" if french_rules.apply_to(invoice.seller) else "left",
    }


def _code(invoice: Invoice) -> str | None:
    if invoice.type != "invoice" or invoice.status != "issued" or invoice.currency != "EUR":
        return None
    seller = invoice.seller
    return payment_code(
        name=seller.name, iban=seller.iban, bic=seller.bic, amount=invoice.total,
        reference=creditor_reference(invoice.number) or invoice.number,
    )  # fmt: skip


def _facts(invoice: Invoice, zone: ZoneInfo, language: Language) -> list[tuple[str, str]]:
    texts = TEXTS[language]
    facts = []
    if invoice.issued_at:
        facts.append((texts["issued"], wording.day(local_date(invoice.issued_at, zone), language)))
    if invoice.due_date:
        facts.append((texts["due"], wording.day(invoice.due_date, language)))
    facts.append((texts["billing_period"], wording.period(invoice.period, zone, language)))
    facts.append((texts["time_zone"], invoice.time_zone))
    facts.append((texts["currency"], invoice.currency))
    facts += [(texts[name], getattr(invoice, name)) for name in REFERENCE_NAMES if getattr(invoice, name)]
    return facts


def _party(label: str, party: Party, language: Language) -> dict[str, Any]:
    texts = TEXTS[language]
    numbers = [wording.legal_form(party, language)]
    if party.registration:
        french = party.address is not None and party.address.country == "FR"
        is_siren = french and re.fullmatch("[0-9]{9}", party.registration)
        numbers.append(f"{texts['siren' if is_siren else 'registration']} {party.registration}")
    if party.siret:
        numbers.append(f"{texts['siret']} {party.siret}")
    if party.vat_number:
        numbers.append(f"{texts['vat_number']} {party.vat_number}")
    return {
        "label": label,
        "name": party.name,
        "lines": wording.address_lines(party.address, language) if party.address else [],
        "numbers": [number for number in numbers if number],
    }


def _window(buyer: Party, language: Language) -> list[str]:
    """The address that the envelope shows: where bills go, or else where the company is."""
    address = buyer.billing_address or buyer.address
    return wording.address_lines(address, language) if address else []


def _contacts(seller: Party) -> list[str]:
    return [" · ".join(text for text in (one.name, one.phone, one.email) if text) for one in seller.contacts[:2]]


def _delivery(invoice: Invoice, language: Language) -> str | None:
    address = invoice.delivery_address
    if address is None or address == invoice.buyer.address:
        return None
    return f"{TEXTS[language]['delivery']} {', '.join(wording.address_lines(address, language))}"


def _grouped(invoice: Invoice, zone: ZoneInfo, language: Language) -> list[dict[str, Any]]:
    """The lines; those of several subscriptions by subscription, each group with its heading and its subtotal."""
    texts = TEXTS[language]
    groups = line_groups(invoice)
    if not groups:
        return [_line(line, invoice, zone, language) for line in invoice.lines]
    rows: list[dict[str, Any]] = []
    for group in groups:
        name = group.subscription
        first, *others = (_line(line, invoice, zone, language) for line in group.lines)
        heading = texts["subscription"].format(name=name) if name else texts["of_no_subscription"]
        rows += [first | {"group": heading}, *others]
        amount = wording.amount(group.net, invoice.currency, language)
        rows.append({"subtotal": texts["subtotal"].format(name=name).strip(), "amount": amount})
    return rows


def _chart(chart: UseChart, language: Language) -> dict[str, Any]:
    highest = f"{wording.quantity(round_for_reading(chart.highest), language)} {chart.line.unit}".strip()
    return {
        "title": TEXTS[language]["use_by_day"].format(name=chart.line.description or chart.line.charge),
        "bars": [str(height) for height in chart.heights],
        "highest": TEXTS[language]["highest_day"].format(quantity=highest),
        "first": wording.day_and_month(chart.first, language),
        "last": wording.day_and_month(chart.last, language),
    }


def _payment(invoice: Invoice, language: Language) -> dict[str, Any] | None:
    """To whom, to which account and under which reference the document is to be paid; nothing on a credit note."""
    texts, seller = TEXTS[language], invoice.seller
    if invoice.type != "invoice" or not seller.iban:
        return None
    rows = [(texts["beneficiary"], seller.name), ("IBAN", printed_reference(seller.iban))]
    if seller.bic:
        rows.append(("BIC", seller.bic))
    if invoice.number:
        rows.append((texts["reference"], printed_reference(creditor_reference(invoice.number)) or invoice.number))
    return {"title": texts["payment"], "rows": rows, "scan": texts["scan"]}


def _mentions(invoice: Invoice, language: Language) -> list[str]:
    """What the law of the seller's country wants to be said, why there is no VAT, and what was noted besides."""
    texts, seller = TEXTS[language], invoice.seller
    found: list[str] = []
    if french_rules.apply_to(seller):
        found.append(texts[f"nature_{french_rules.business_process(invoice)[0]}"])
        found += french_rules.regime_mentions(invoice, language)
    found += _terms(invoice, language)
    found += [group.exemption.reason for group in invoice.tax if group.exemption is not None]
    if invoice.accounting_tax is not None:
        found.append(_accounting_vat(invoice.accounting_tax, invoice.currency, language))
    return [*dict.fromkeys(found), *wording.remarks(invoice)]


def _terms(invoice: Invoice, language: Language) -> list[str]:
    """What holds for late and early payment; nothing where nothing is to be paid."""
    seller = invoice.seller
    if invoice.type == "credit_note":
        return []
    if french_rules.apply_to(seller):
        terms = french_rules.terms(seller, language)
        return [terms["PMD"], terms["PMT"], terms["AAB"]]
    return [text for text in (seller.penalty_terms, seller.recovery_terms, seller.discount_terms) if text]


def _accounting_vat(vat: AccountingTax, currency: str, language: Language) -> str:
    return TEXTS[language]["accounting_vat"].format(
        currency=vat.currency, amount=wording.amount(vat.amount, vat.currency, language),
        rate=wording.quantity(vat.rate, language), own=currency, source=vat.source,
        date=wording.day(vat.date, language),
    )  # fmt: skip


def _legal_line(seller: Party, language: Language) -> str:
    """One line that names the company, for the foot of each page."""
    party = _party("", seller, language)
    return " · ".join([_short(seller.name), *party["numbers"]])


def _line(line: InvoiceLine, invoice: Invoice, zone: ZoneInfo, language: Language) -> dict[str, Any]:
    sole = _sole_price(line)
    parts = [] if sole else [_component(item, line, invoice, language) for item in line.components]
    free = _free_quantity(line)
    if free:
        text = f"{wording.quantity(free, language)} {line.unit}".strip()
        parts.insert(0, {"description": TEXTS[language]["free"], "quantity": text, "unit_price": "", "amount": ""})
    for allowance in line.allowances:
        off = wording.amount(-allowance.amount, invoice.currency, language)
        text = wording.allowance(allowance.description, language)
        parts.append({"description": text, "quantity": "", "unit_price": "", "amount": off})
    note = wording.line_note(line, invoice, zone, language)
    description = line.description or line.charge
    return {
        "description": description,
        "note": note or None,
        "quantity": _quantity(line, sole, language),
        "unit_price": wording.component_price(sole, invoice.currency, language) if sole else "",
        "tax": wording.tax_rate(line.tax, language),
        "amount": wording.amount(line.amount, invoice.currency, language),
        "parts": parts,
        # What a page cannot hold must be allowed to break.
        "keep": len(parts) <= _MAX_KEPT_PARTS and len(description) + len(line.unit) <= _MAX_KEPT_CHARACTERS,
    }


def _quantity(line: InvoiceLine, sole: Component | None, language: Language) -> str:
    number = sole.quantity if sole else line.quantity
    return f"{wording.quantity(number, language)} {line.unit}".strip()


def _sole_price(line: InvoiceLine) -> Component | None:
    """The component that says all there is to say of the line, so that it need not be repeated underneath."""
    if len(line.components) != 1 or line.allowances or line.kind != "charge":
        return None
    only = line.components[0]
    if only.kind not in ("unit", "flat", "percentage", "dynamic") or only.quantity != line.quantity:
        return None
    return only


def _free_quantity(line: InvoiceLine) -> Decimal:
    """What the allowance took off before pricing: 10 of 130 kWh. Without this, quantity and components disagree."""
    priced = [item.quantity for item in line.components if item.kind in OF_MEASURED_USE]
    by_event = any(item.kind in _OF_SINGLE_EVENTS for item in line.components)
    if line.kind != "charge" or not priced or by_event:
        return ZERO
    return max(line.quantity - sum(priced, ZERO), ZERO)


def _component(item: Component, line: InvoiceLine, invoice: Invoice, language: Language) -> dict[str, str]:
    unit = f" {line.unit}" if item.kind in IN_THE_UNIT else ""
    return {
        "description": wording.component(item, language),
        "quantity": f"{wording.quantity(item.quantity, language)}{unit}".strip(),
        "unit_price": wording.component_price(item, invoice.currency, language),
        "amount": wording.amount(item.amount, invoice.currency, language),
    }


def _tax(invoice: Invoice, language: Language) -> dict[str, Any]:
    texts = TEXTS[language]
    rows = [
        (
            wording.tax_category(group.category, language),
            wording.percent(group.rate, language) if group.category != "O" else wording.EN_DASH,
            wording.amount(group.base, invoice.currency, language),
            wording.amount(group.amount, invoice.currency, language),
        )
        for group in invoice.tax
    ]
    return {"heads": [texts[head] for head in ("tax", "rate", "base", "vat_amount")], "rows": rows}


def _totals(invoice: Invoice, language: Language) -> list[tuple[str, str]]:
    texts, currency = TEXTS[language], invoice.currency
    tax = round_amount(invoice.total - invoice.net, currency)
    rows = [(texts[label], number) for label, number in _before_net(invoice)]
    rows += [(wording.allowance(use.description, language), -use.amount) for use in invoice.allowances]
    rows += [(texts["net"], invoice.net), (texts["tax_total"], tax), (texts["total"], invoice.total)]
    return [(label, wording.amount(number, currency, language)) for label, number in rows]


def _before_net(invoice: Invoice) -> list[tuple[str, Decimal]]:
    """The sum of the lines, where credit comes between it and the net."""
    return [("lines_total", sum((line.amount for line in invoice.lines), ZERO))] if invoice.allowances else []


def _due(invoice: Invoice, language: Language) -> dict[str, str | None]:
    texts = TEXTS[language]
    labels = {"invoice": "amount_due", "credit_note": "amount_credited", "statement": "amount_payable"}
    by = wording.day(invoice.due_date, language) if invoice.due_date else ""
    return {
        "label": texts[labels[invoice.type]],
        "amount": wording.amount(invoice.total, invoice.currency, language),
        "note": texts["due_by"].format(date=by) if by and invoice.type == "invoice" else None,
    }


def _footer(invoice: Invoice, name: str, language: Language) -> str:
    parts = [name]
    if invoice.hash:
        parts.append(f"{TEXTS[language]['hash']} {invoice.hash[:16]}…")
    return " · ".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_RUNNING_NAME else f"{name[:_MAX_RUNNING_NAME]}…"
