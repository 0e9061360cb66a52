"""What does a simulation look like as a picture?

Two bars for each of the ten tenants that change most, what they pay and what they would pay, on one scale; above them
what all tenants come to. It is one SVG file without scripts, fonts or links, so that it can be put into any page.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from xml.sax.saxutils import escape

from app.documents import wording
from app.documents.wording import EN_DASH, MINUS, Language
from app.domain.events import instant_text
from app.domain.money import ZERO
from app.domain.simulations import Simulation, TenantChange

_WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "{plan} instead of {against}",
        "draft": "A draft",
        "in_force": "what is in force",
        "all": "{count} tenants: {old} now, {new} then, {difference}",
        "running": "{done} of {due} tenants so far",
        "largest": "The largest changes",
        "none": "Nobody's amount changes.",
        "old": "now",
        "new": "then",
        "net": "Amounts without VAT",
    },
    "fr": {
        "title": "{plan} à la place de {against}",
        "draft": "Un projet",
        "in_force": "ce qui est en vigueur",
        "all": "{count} clients : {old} à ce jour, {new} alors, {difference}",
        "running": "{done} clients sur {due} jusqu’ici",
        "largest": "Les plus grands changements",
        "none": "Aucun montant ne change.",
        "old": "à ce jour",
        "new": "alors",
        "net": "Montants HT",
    },
}

_WIDTH, _LEFT, _BARS, _TOP, _ROW = 960, 200, 480, 150, 46
_INK, _SOFT, _OLD, _NEW = "#1b2530", "#5b6672", "#b4bdc6", "#00796b"
_MAX_NAME = 24


def render_simulation_svg(found: Simulation, language: Language = "en") -> bytes:
    """The picture of what is done so far."""
    rows = found.totals.largest
    height = _TOP + max(len(rows), 1) * _ROW + 50
    largest = max((abs(amount) for item in rows for amount in (item.old, item.new)), default=ZERO)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" role="img" aria-label="{_plain(_title(found, language))}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        *_head(found, language),
    ]
    if not rows:
        parts.append(_text(40, _TOP + 20, _WORDS[language]["none"], size=14, fill=_SOFT))
    for number, item in enumerate(rows):
        parts += _row(item, _TOP + number * _ROW, largest, found.request.plan.terms.currency, language)
    parts.append("</svg>\n")
    return "\n".join(parts).encode()


def _head(found: Simulation, language: Language) -> list[str]:
    words, currency = _WORDS[language], found.request.plan.terms.currency
    totals = found.totals
    summary = words["all"].format(
        count=wording.quantity(Decimal(totals.tenants), language), old=wording.amount(totals.old, currency, language),
        new=wording.amount(totals.new, currency, language), difference=_signed(totals.difference, currency, language),
    )  # fmt: skip
    span = f"{_moment(found.request.start)} {EN_DASH} {_moment(found.request.end)} · {words['net']}"
    if found.done < found.due:
        span += " · " + words["running"].format(done=found.done, due=found.due)
    legend = [
        f'<rect x="{_LEFT}" y="{_TOP - 32}" width="12" height="12" fill="{_OLD}"/>',
        _text(_LEFT + 18, _TOP - 22, words["old"], size=12, fill=_SOFT),
        f'<rect x="{_LEFT + 100}" y="{_TOP - 32}" width="12" height="12" fill="{_NEW}"/>',
        _text(_LEFT + 118, _TOP - 22, words["new"], size=12, fill=_SOFT),
    ]
    return [
        _text(40, 42, _title(found, language), size=22, weight="bold"), _text(40, 68, span, size=13, fill=_SOFT),
        _text(40, 94, summary, size=15), _text(40, _TOP - 22, words["largest"], size=13, weight="bold"), *legend,
    ]  # fmt: skip


def _title(found: Simulation, language: Language) -> str:
    words, request = _WORDS[language], found.request
    against = words["in_force"] if request.against is None else request.against.name or request.against.key
    plan = request.plan.name or request.plan.key or words["draft"]
    return words["title"].format(plan=plan, against=against or words["draft"])


def _row(item: TenantChange, top: int, largest: Decimal, currency: str, language: Language) -> list[str]:
    name = item.tenant if len(item.tenant) <= _MAX_NAME else f"{item.tenant[:_MAX_NAME]}…"
    bars = []
    for offset, amount, colour in ((0, item.old, _OLD), (16, item.new, _NEW)):
        length = _length(amount, largest)
        bars.append(f'<rect x="{_LEFT}" y="{top + offset}" width="{length}" height="13" fill="{colour}"/>')
        label = wording.amount(amount, currency, language)
        bars.append(_text(_LEFT + length + 8, top + offset + 11, label, size=11, fill=_SOFT))
    change = _signed(item.difference, currency, language)
    return [
        _text(_LEFT - 12, top + 20, name, size=13, anchor="end"), *bars,
        _text(_WIDTH - 40, top + 20, change, size=13, anchor="end", weight="bold"),
    ]  # fmt: skip


def _length(amount: Decimal, largest: Decimal) -> int:
    """In whole points; a bar that stands for anything can be seen."""
    if not largest or not amount:
        return 0
    return max(1, int(abs(amount) * _BARS / largest))


def _signed(amount: Decimal, currency: str, language: Language) -> str:
    """`+€4.00`, `−€4.00`."""
    text = wording.amount(amount, currency, language)
    return text if amount <= 0 or text.startswith(MINUS) else f"+{text}"


def _moment(moment: date | datetime) -> str:
    return instant_text(moment) if isinstance(moment, datetime) else moment.isoformat()


def _text(
    x: int, y: int, text: str, *, size: int, fill: str = _INK, anchor: str = "start", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{_plain(text)}</text>"
    )


def _plain(text: str) -> str:
    """As text and as an attribute's value: no markup, and no character that XML does not allow."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    return escape(shown, {'"': "&quot;"})
