from __future__ import annotations

from decimal import Decimal

import pytest
import segno

from app.documents.payment_code import payment_code

GARAGE = {"name": "Garage des Alpes SAS", "iban": "FR7630006000011234567890189", "bic": "AGRIFRPP"}


def test_the_code_says_what_a_bank_reads():
    """The eleven lines of EPC069-12: name, account, amount, and the creditor reference as such."""
    lines = (
        "BCD", "002", "1", "SCT", "AGRIFRPP", "Garage des Alpes SAS", "FR7630006000011234567890189", "EUR127.2", "",
        "RF022026000042", "",
    )  # fmt: skip
    expected = segno.make("\n".join(lines).rstrip("\n"), error="m", boost_error=False, encoding="utf-8", micro=False)

    found = payment_code(**GARAGE, amount=Decimal("127.20"), reference="RF022026000042")

    assert found == expected.svg_inline(border=0)


def test_a_number_that_is_no_creditor_reference_is_a_text():
    assert payment_code(**GARAGE, amount=Decimal("1.00"), reference="2026-000042") is not None


@pytest.mark.parametrize(
    "changes",
    [{"iban": ""}, {"amount": Decimal(0)}, {"amount": Decimal("-1.00")}, {"amount": Decimal(10) ** 9}, {"name": ""}],
)
def test_what_no_transfer_can_say_has_no_code(changes: dict[str, object]):
    facts: dict[str, object] = {**GARAGE, "amount": Decimal("1.00"), "reference": "RF022026000042"} | changes

    assert payment_code(**facts) is None  # type: ignore[arg-type]
