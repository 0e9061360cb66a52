"""What does an invoice look like on paper?

`render_pdf` prints the content that is fixed at issue, in the buyer's language, as PDF/A-3b: the same invoice gives the
same bytes, today and in ten years. Payments and later credit notes are no part of it; the amount due is the total.
Here every text is made; `invoice.typ` only lays out, and reads what it is given as text, never as markup.
"""

from __future__ import annotations

import json
import re
import unicodedata
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import Any, Literal
from zoneinfo import ZoneInfo

import typst

from app.documents import wording
from app.documents.wording import TEXTS, Language
from app.domain.charge_models import Component
from app.domain.charge_models.components import IN_THE_UNIT, OF_MEASURED_USE
from app.domain.invoices import Invoice, InvoiceLine
from app.domain.money import ZERO, round_amount
from app.domain.parties import Party
from app.domain.periods import local_date, parse_zone

_TEMPLATE = Path(__file__).with_name("invoice.typ")

# One compiler for the process, since making one costs more than a page; it keeps its input between the calls of a
# compilation, so one thread at a time. The fonts that typst brings with it are enough; those of the system are only
# asked for characters that typst's own lack, such as Chinese.
_compiler = typst.Compiler(_TEMPLATE, root=_TEMPLATE.parent)
_compiling = Lock()

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_MAX_ATTEMPTS = 8
_MAX_KEPT_PARTS = 24
_MAX_KEPT_CHARACTERS = 1_500
_MAX_RUNNING_NAME = 50

# Amounts of events at a bound are not among the quantities: what is missing there was not free.
_OF_SINGLE_EVENTS = ("event_minimum", "event_maximum")


def render_pdf(invoice: Invoice) -> bytes:
    """The document as PDF/A-3b, dated with its issue; a draft carries a watermark and the end of its period as date."""
    content = _printable(_content(invoice))
    instant = invoice.issued_at or invoice.period.end
    for _ in range(_MAX_ATTEMPTS):
        try:
            return _compile(content, timestamp=int(instant.timestamp()), standard="a-3b")
        except typst.TypstError as error:
            missing = _without_glyph(error)
            if not missing:
                break
            visible = {text for text in missing if not _is_invisible(text)}
            # A joiner or a zero-width space often fails only because of its neighbour, and is then wanted.
            content = _replaced(content, visible, _REPLACEMENT) if visible else _replaced(content, missing, "")
    # What PDF/A refuses for another reason is printed all the same: readable comes before archivable.
    return _compile(content, timestamp=int(instant.timestamp()), standard="1.7")


def _compile(content: Any, *, timestamp: int, standard: Literal["a-3b", "1.7"]) -> bytes:
    inputs = {"document": json.dumps(content, ensure_ascii=False)}
    with _compiling:
        # Without tags the file is half as large, and they say little of a layout made of grids.
        pdf = _compiler.compile(
            format="pdf", sys_inputs=inputs, pdf_standards=standard, timestamp=timestamp, pdf_tags=False
        )
    assert isinstance(pdf, bytes)
    return pdf


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
        "seller": _party(texts["seller"], invoice.seller, language),
        "buyer": _party(texts["buyer"], invoice.buyer, language),
        "heads": [texts[head] for head in ("description", "quantity", "unit_price", "vat", "amount")],
        "lines": [_line(line, invoice, zone, language) for line in invoice.lines],
        "empty": texts["no_lines"],
        "tax": _tax(invoice, language),
        "totals": _totals(invoice, language),
        "due": _due(invoice, language),
        "footer": _footer(invoice, name, language),
    }


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
    return facts


def _party(label: str, party: Party, language: Language) -> dict[str, Any]:
    texts = TEXTS[language]
    numbers = []
    if party.registration:
        french = party.address is not None and party.address.country == "FR"
        is_siren = french and re.fullmatch("[0-9]{9}", party.registration)
        numbers.append(f"{texts['siren' if is_siren else 'registration']} {party.registration}")
    if party.vat_number:
        numbers.append(f"{texts['vat_number']} {party.vat_number}")
    return {
        "label": label,
        "name": party.name,
        "lines": wording.address_lines(party.address, language) if party.address else [],
        "numbers": numbers,
    }


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
    parts = [_short(invoice.seller.name), name]
    if invoice.hash:
        parts.append(f"{TEXTS[language]['hash']} {invoice.hash[:16]}…")
    return " · ".join(parts)


def _short(name: str) -> str:
    return name if len(name) <= _MAX_RUNNING_NAME else f"{name[:_MAX_RUNNING_NAME]}…"


# --- texts that can be printed ---------------------------------------------------------------------------------------

# Characters that show nothing: some make a text read otherwise than it is (the controls of direction), the others leave
# traces in what is copied out of the PDF. Joiners stay, since scripts need them.
_INVISIBLE = dict.fromkeys(
    (
        0xAD, 0x180E, 0x200B, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10),
        0xFEFF, *range(0xFFF9, 0xFFFC), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000),
    )
)  # fmt: skip
# More marks on one letter than any writing has; PDF readers refuse the letter otherwise.
_MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]"
_TOO_MANY_MARKS = re.compile(f"({_MARK}{{10}}){_MARK}+")
_LONG_WORD = re.compile(r"[\S\u00a0\u202f]{25,}")
_LONG_WORD_STEP = 10


def _printable(value: Any) -> Any:
    """The same JSON value with texts that any font and any column can take."""
    if isinstance(value, str):
        return _LONG_WORD.sub(_breakable, _clean(value))
    if isinstance(value, dict):
        return {key: _printable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(item) for item in value]
    return value


def _clean(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = "".join(map(_clean_character, text.translate(_INVISIBLE)))
    return _TOO_MANY_MARKS.sub(r"\1", text)


def _clean_character(character: str) -> str:
    match unicodedata.category(character):
        case "Cc" | "Zl" | "Zp":
            return " "
        case "Cs":
            return _REPLACEMENT
        case _:
            return character


def _breakable(word: re.Match[str]) -> str:
    """A long word with places, none inside a character, at which a line may end."""
    pieces, length = [], 0
    for character in word.group():
        joined = unicodedata.category(character).startswith(("M", "Cf")) or character == _REPLACEMENT
        if length >= _LONG_WORD_STEP and not joined:
            pieces.append("\u200b")
            length = 0
        pieces.append(character)
        length += 1
    return "".join(pieces)


_NO_GLYPH = re.compile(r'the text `"((?:[^"\\]|\\.)*)"` could not be displayed')
_ESCAPE = re.compile(r"\\(?:u\{([0-9a-f]+)\}|(.))")


def _without_glyph(error: typst.TypstError) -> set[str]:
    """The texts that no font has glyphs for, as the error names them. Empty where it is another error."""
    found = _NO_GLYPH.findall(f"{error.message}\n{error.diagnostic}")
    return {_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else m[2], text) for text in found} - {""}


def _is_invisible(text: str) -> bool:
    return all(unicodedata.category(character) == "Cf" for character in text)


def _replaced(value: Any, missing: set[str], replacement: str) -> Any:
    if isinstance(value, str):
        for text in sorted(missing, key=len, reverse=True):
            value = value.replace(text, replacement)
        return value
    if isinstance(value, dict):
        return {key: _replaced(item, missing, replacement) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, missing, replacement) for item in value]
    return value
