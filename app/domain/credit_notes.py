"""What is left of an invoice to be credited, and what does a credit note by hand take back?

Of an invoice with a line of 100.00 and one of 50.00 a first note takes back 30.00 of the first line: 70.00 and 50.00
are left. A note over 60.00 of the whole document takes 35.00 and 25.00, in proportion to what is left; one of the whole
takes all that is left then. No note takes more of a line, or of what one VAT rate taxes, than is left of it.

A line is credited by quantity in proportion: of 100.00 for 3 units the first unit is 33.33, two are 66.67 in all, three
are 100.00, so that each note is within a cent of its own share and all of them together are the line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from app.domain.charge_models import Component
from app.domain.errors import CreditExceedsLeft, FieldProblem, InvalidInput, NothingLeftToCredit
from app.domain.invoices import BY_HAND, Invoice, InvoiceLine
from app.domain.money import ZERO, amount_text, plain, round_amount, split_pro_rata
from app.domain.tax import TaxRate


@dataclass(frozen=True, slots=True)
class LineWish:
    """A line that is to be credited: of it this quantity, or this amount before tax, or all that is left."""

    line: str
    quantity: Decimal | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class CreditWish:
    """What somebody wants credited: these lines, or an amount before tax over the whole document, or all that is left.

    `reopens_usage` lowers what counts as billed, so that the use may be billed again; without it the credit is a gift.
    `reissue` (of the whole document only) does that at once.
    """

    reason: str
    reference: str = ""
    lines: tuple[LineWish, ...] = ()
    amount: Decimal | None = None
    reopens_usage: bool = False
    reissue: bool = False


@dataclass(frozen=True, slots=True)
class LineLeft:
    """What credit notes have left of a line: the amount before tax, and the quantity that none of them named.
    `given` is what they took off it as a gift, and what was waived of it: use that still counts as billed."""

    line: InvoiceLine
    amount: Decimal
    quantity: Decimal
    given: Decimal

    @property
    def is_untouched(self) -> bool:
        return (self.amount, self.quantity) == (self.line.amount, self.line.quantity)


ChargeKey = tuple[datetime, str, str, str, str]


def charge_key(line: InvoiceLine) -> ChargeKey:
    """What a rated line bills: start of the stretch, charge, phase of the subscription, meter, and the subscription.
    One charge may stand for a fixed amount paid in advance by one plan and for use by the next."""
    meter = line.trace["meter"]
    key = "" if meter is None else meter["key"]
    return line.period.start, line.charge, line.trace.get("since", ""), key, line.subscription


def credited_line(invoice: Invoice, line: InvoiceLine) -> str | None:
    """The id of the invoice's line that a line of a credit note on it takes back; None where it names none."""
    if "credits" in line.trace:
        named: str = line.trace["credits"]["line"]
        return named
    if not line.is_rated:
        return None
    key = charge_key(line)
    return next((one.id for one in invoice.lines if one.is_rated and charge_key(one) == key), None)


def left_of(invoice: Invoice, notes: Iterable[Invoice]) -> dict[str, LineLeft]:
    """What the notes, all that were issued on the invoice, have left of each of its lines, by its id."""
    left = {line.id: LineLeft(line, line.amount, line.quantity, line.waived) for line in invoice.lines}
    for note in notes:
        for line in note.lines:
            id = credited_line(invoice, line)
            if id is None or id not in left:
                continue
            before = left[id]
            given = ZERO if line.reopens_usage else line.amount
            left[id] = replace(
                before, amount=before.amount - line.amount, quantity=before.quantity - line.quantity,
                given=before.given + given,
            )  # fmt: skip
    return left


def credit_lines(invoice: Invoice, notes: Sequence[Invoice], wish: CreditWish) -> tuple[InvoiceLine, ...]:
    """The lines of the credit note that is wished for; `notes` are those issued on the invoice before it.

    Raises NothingLeftToCredit, CreditExceedsLeft with what is left, or InvalidInput for a line that there is not.
    """
    left = left_of(invoice, notes)
    if not any(item.amount for item in left.values()):
        raise NothingLeftToCredit("All of this invoice is credited already.", invoice_id=invoice.id, left="0")
    if wish.lines:
        lines = _by_lines(invoice, left, wish)
    elif wish.amount is not None:
        lines = _by_amount(invoice, left, notes, wish, wish.amount)
    else:
        lines = _whole(invoice, left, wish)
    _check_groups(invoice, left, lines)
    return tuple(lines)


def _whole(invoice: Invoice, left: dict[str, LineLeft], wish: CreditWish) -> list[InvoiceLine]:
    """All that is left; of an invoice that nothing was credited of, its lines of 0.00 too."""
    is_untouched = all(item.is_untouched for item in left.values())
    return [
        _credit(item, item.amount, item.quantity, wish, invoice.currency)
        for item in left.values()
        if item.amount or is_untouched
    ]


def _by_lines(invoice: Invoice, left: dict[str, LineLeft], wish: CreditWish) -> list[InvoiceLine]:
    problems: list[FieldProblem] = []
    lines: list[InvoiceLine] = []
    for index, asked in enumerate(wish.lines):
        pointer = f"#/lines/{index}"
        item = left.get(asked.line)
        if item is None:
            problems.append(FieldProblem(f"{pointer}/line", f"this invoice has no line {asked.line!r}"))
            continue
        if item.amount <= 0:
            raise _exceeds(invoice, item, f"{pointer}/line", "nothing is left of it to be credited")
        amount, quantity = item.amount, item.quantity
        if asked.amount is not None:
            amount, quantity = _amount(asked.amount, invoice, f"{pointer}/amount", problems), ZERO
            if amount == item.amount:
                quantity = item.quantity
        elif asked.quantity is not None:
            quantity = asked.quantity
            if not 0 < quantity <= item.quantity:
                raise _exceeds(invoice, item, f"{pointer}/quantity", "that is not above 0, or more than is left of it")
            amount = _of_quantity(item, quantity, invoice.currency)
        if amount > item.amount:
            raise _exceeds(invoice, item, pointer, "more than is left of it")
        lines.append(_credit(item, amount, quantity, wish, invoice.currency))
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    return lines


def _amount(amount: Decimal, invoice: Invoice, pointer: str, problems: list[FieldProblem]) -> Decimal:
    if amount <= 0 or amount >= Decimal(10) ** 15:
        problems.append(FieldProblem(pointer, "an amount to be credited is above 0 and under 10^15"))
    elif round_amount(amount, invoice.currency) != amount:
        problems.append(FieldProblem(pointer, f"has more decimals than {invoice.currency}"))
    return amount


def _of_quantity(item: LineLeft, quantity: Decimal, currency: str) -> Decimal:
    """The share of the line's amount that the quantity brings to those credited by quantity before it."""
    before = item.line.quantity - item.quantity
    upto = before + quantity

    def share(of: Decimal) -> Decimal:
        return round_amount(item.line.amount * of / item.line.quantity, currency)

    return share(upto) - share(before)


def _by_amount(
    invoice: Invoice, left: dict[str, LineLeft], notes: Sequence[Invoice], wish: CreditWish, amount: Decimal
) -> list[InvoiceLine]:
    """The amount spread over the VAT groups by what is left of their nets, and within each over its lines."""
    problems: list[FieldProblem] = []
    _amount(amount, invoice, "#/amount", problems)
    if problems:
        raise InvalidInput(f"{problems[0].pointer}: {problems[0].detail}", problems=tuple(problems))
    nets = _nets_left(invoice, notes)
    most = sum((net for net in nets.values() if net > 0), ZERO)
    whole = min(most, sum(nets.values(), ZERO))
    if amount > whole:
        shown = amount_text(max(whole, ZERO), invoice.currency)
        detail = f"#/amount: more than is left of the document, {shown} {invoice.currency} before tax"
        raise CreditExceedsLeft(
            detail, problems=(FieldProblem("#/amount", detail.removeprefix("#/amount: ")),), left=shown,
            invoice_id=invoice.id,
        )  # fmt: skip
    groups = [tax for tax, net in nets.items() if net > 0]
    lines: list[InvoiceLine] = []
    for tax, part in zip(groups, split_pro_rata(amount, [nets[tax] for tax in groups], invoice.currency), strict=True):
        own = [item for item in left.values() if item.line.tax == tax and item.amount > 0]
        if part:
            parts = split_pro_rata(part, [item.amount for item in own], invoice.currency)
            lines += [
                _credit(item, share, item.quantity if share == item.amount else ZERO, wish, invoice.currency)
                for item, share in zip(own, parts, strict=True)
                if share
            ]
    return lines


def _nets_left(invoice: Invoice, notes: Iterable[Invoice]) -> dict[TaxRate, Decimal]:
    """What is left of the net of each VAT group, promotional credit taken off."""
    nets = {TaxRate(group.category, group.rate): group.base for group in invoice.tax}
    for note in notes:
        for group in note.tax:
            tax = TaxRate(group.category, group.rate)
            nets[tax] = nets.get(tax, ZERO) - group.base
    return nets


def _check_groups(invoice: Invoice, left: dict[str, LineLeft], lines: Iterable[InvoiceLine]) -> None:
    """A negative line of an invoice lowers what its VAT group has to be credited."""
    rest: dict[TaxRate, Decimal] = {}
    for item in left.values():
        rest[item.line.tax] = rest.get(item.line.tax, ZERO) + item.amount
    before = dict(rest)
    for line in lines:
        rest[line.tax] -= line.amount
    for tax, amount in rest.items():
        if amount < 0:
            shown = amount_text(max(before[tax], ZERO), invoice.currency)
            raise CreditExceedsLeft(
                f"Of all lines taxed at {plain(tax.rate)} % ({tax.category}) only {shown} {invoice.currency} are left.",
                left=shown, invoice_id=invoice.id,
            )  # fmt: skip


def _exceeds(invoice: Invoice, item: LineLeft, pointer: str, what: str) -> CreditExceedsLeft:
    shown = amount_text(max(item.amount, ZERO), invoice.currency)
    detail = f"line {item.line.id}: {what}; left are {shown} {invoice.currency}"
    if item.quantity > 0:
        detail += f" and {plain(item.quantity)} {item.line.unit}".rstrip()
    return CreditExceedsLeft(
        f"{pointer}: {detail}", problems=(FieldProblem(pointer, detail),), invoice_id=invoice.id, line=item.line.id,
        left=shown, quantity_left=plain(max(item.quantity, ZERO)),
    )  # fmt: skip


def _credit(item: LineLeft, amount: Decimal, quantity: Decimal, wish: CreditWish, currency: str) -> InvoiceLine:
    """Part of a line as a line of the credit note; all of one that is untouched as it stands."""
    line = item.line
    made = replace(
        line, id="", kind="credit", amount=amount, quantity=quantity,
        reopens_usage=wish.reopens_usage and line.is_rated,
        trace=_trace(line, amount),
    )  # fmt: skip
    if item.is_untouched and (amount, quantity) == (line.amount, line.quantity):
        return made
    return replace(made, components=(_component(line, amount, quantity, currency),), allowances=())


def _component(line: InvoiceLine, amount: Decimal, quantity: Decimal, currency: str) -> Component:
    """Quantity x unit price where the line has one price and that gives the amount; else once the amount."""
    if len(line.components) == 1 and not line.allowances and quantity > 0:
        only = line.components[0]
        if only.quantity == line.quantity and round_amount(quantity * only.unit_price, currency) == amount:
            return replace(only, quantity=quantity, amount=amount)
    sign = -1 if amount < 0 else 1
    return Component("credited", Decimal(sign), abs(amount), amount)


def _trace(line: InvoiceLine, amount: Decimal) -> dict[str, Any]:
    """What the credited line was computed from, and what of it is credited. Prepaid units stay drawn: the use that they
    were for is still there."""
    kept = {name: value for name, value in line.trace.items() if name not in ("drawn", *BY_HAND)}
    return kept | {"credits": {"line": line.id, "amount": plain(amount)}}


def taken_back(item: LineLeft, amount: Decimal) -> InvoiceLine:
    """A line of a credit note that takes back an amount given before, so that a correction of the use beneath it does
    not credit more than the line was."""
    line = item.line
    return replace(
        line, id="", kind="credit", amount=-amount, quantity=ZERO, reopens_usage=False, allowances=(),
        components=(Component("credited", Decimal(-1), amount, -amount),),
        trace=_trace(line, -amount),
    )  # fmt: skip
