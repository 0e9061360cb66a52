"""What a charge came to over a stretch, as a value that can be added, turned round and split among documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from app.domain.charge_models import Component
from app.domain.money import ZERO
from app.domain.rating.lines import Allowance


@dataclass(frozen=True, slots=True)
class Result:
    """amount = sum of components - sum of allowances."""

    quantity: Decimal
    components: tuple[Component, ...]
    allowances: tuple[Allowance, ...]
    amount: Decimal


NOTHING = Result(ZERO, (), (), ZERO)


def negated(result: Result) -> Result:
    """The same with every quantity and amount turned round; prices stay, for a price is never negative."""
    return Result(
        -result.quantity,
        tuple(replace(item, quantity=-item.quantity, amount=-item.amount) for item in result.components),
        tuple(replace(item, amount=-item.amount) for item in result.allowances),
        -result.amount,
    )


def together(first: Result, second: Result) -> Result:
    return Result(
        first.quantity + second.quantity,
        first.components + second.components,
        first.allowances + second.allowances,
        first.amount + second.amount,
    )


def difference(new: Result, billed: Result) -> Result:
    """The new components and the billed ones negated."""
    return together(new, negated(billed))


def split_credit(billed: Result, new: Result, *, left: Sequence[Result]) -> list[tuple[int, Result]]:
    """How a negative difference is credited: (index of the document, what it takes back, positive), latest first.

    `left` is what each document that billed the charge still stands for, in order of issue. Each but the last of them
    is credited whole before the one before it is touched; the parts sum to billed - new exactly. Where use turned
    negative, the earliest document takes more than it has left: what was billed is owed back, and more.

    Billed 50 and then 10 more, now 30: the second document takes back 10, the first 20.
    """
    owed = billed.amount - new.amount
    assert owed > 0, "only a negative difference is credited"
    parts: list[tuple[int, Result]] = []
    rest = difference(billed, new)
    open_documents = [index for index, item in enumerate(left) if item.amount > 0] or [0]
    for index in reversed(open_documents):
        if rest.amount <= left[index].amount or index == open_documents[0]:
            parts.append((index, rest))
            break
        parts.append((index, left[index]))
        rest = difference(rest, left[index])
    return parts
