"""How does a bank's app read from paper what is to be paid, to whom, and for what?

By the SEPA code of EPC069-12: name, BIC, IBAN, amount and the creditor reference in a QR code that fills in a credit
transfer in euros.
"""

from __future__ import annotations

from decimal import Decimal

from segno import helpers

from app.domain.references import is_creditor_reference

_LEAST, _MOST = Decimal("0.01"), Decimal("999999999.99")
_LONGEST_NAME = 70


def payment_code(*, name: str, iban: str, bic: str, amount: Decimal, reference: str) -> str | None:
    """The code as SVG; None where it cannot be told in one. The amount is in euros."""
    if not iban or not _LEAST <= amount <= _MOST:
        return None
    structured = reference if is_creditor_reference(reference) else None
    try:
        code = helpers.make_epc_qr(
            name[:_LONGEST_NAME], iban, amount, reference=structured, text=None if structured else reference,
            bic=bic or None, encoding="utf-8",
        )  # fmt: skip
    except ValueError:  # a BIC of a length that there is not, a name that does not fit
        return None
    return str(code.svg_inline(border=0))
