"""Credit notes by hand: what is sent.

    {"reason": "wrong station"}                                                   all that is left
    {"reason": "..", "lines": [{"line": "ln_1"}, {"line": "ln_2", "quantity": "3"}, {"line": "ln_3", "amount": "4.00"}]}
    {"reason": "..", "amount": "10.00"}                    over the document, before tax
    {"reason": "..", "reissue": true}                      all that is left, and an invoice of the same period again

`reopens_usage` lowers what counts as billed, so that the use may be billed again. `reference` is a mark of the case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.credit_notes import CreditWish, LineWish
from app.wire.parsing import Fields

MAX_REASON = 1000
MAX_CREDIT_LINES = 1000


def credit_from_wire(body: Any) -> CreditWish:
    """Raises InvalidInput with every fault."""
    fields = Fields(body)
    reissue = fields.boolean("reissue")
    wish = CreditWish(
        fields.text("reason", max_length=MAX_REASON), fields.optional_text("reference") or "", _lines(fields),
        fields.optional_decimal("amount"), fields.boolean("reopens_usage", default=reissue), reissue,
    )  # fmt: skip
    if wish.lines and wish.amount is not None:
        fields.problem("amount", "an amount over the document does not go with lines")
    if reissue and (wish.lines or wish.amount is not None):
        fields.problem("reissue", "only a whole document is issued again")
    if reissue and not wish.reopens_usage:
        fields.problem("reopens_usage", "what is issued again is billed again")
    fields.finish()
    return wish


def _lines(fields: Fields) -> tuple[LineWish, ...]:
    found: list[LineWish] = []
    items = fields.objects("lines")
    if fields.has("lines") and not items:
        fields.problem("lines", "names no line: leave it out to credit all that is left")
    if len(items) > MAX_CREDIT_LINES:
        fields.problem("lines", f"has more than {MAX_CREDIT_LINES} items")
        return ()
    for index, item in enumerate(items):
        wish = LineWish(item.text("line"), item.optional_decimal("quantity"), item.optional_decimal("amount"))
        if wish.quantity is not None and wish.amount is not None:
            item.problem("amount", "a line is credited by quantity or by amount, not both")
        if wish.line in _names(found):
            fields.problem(f"lines/{index}/line", f"the line {wish.line!r} stands here twice")
        found.append(wish)
    return tuple(found)


def _names(wishes: Sequence[LineWish]) -> set[str]:
    return {wish.line for wish in wishes}
