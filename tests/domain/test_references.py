"""Creditor references (ISO 11649) made of the numbers of invoices."""

from __future__ import annotations

import string

from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum import iso11649

from app.domain.references import (
    creditor_reference,
    is_creditor_reference,
    printed_reference,
    reference_body,
    references_in,
)

numbers = st.text(string.ascii_letters + string.digits + "-+_/", min_size=1, max_size=35).filter(reference_body)
bodies = string.ascii_uppercase + string.digits


def test_the_reference_of_an_invoice_has_two_digits_that_check_its_number() -> None:
    """2026000042 and RF00 as 271500 is 2026000042271500; modulo 97 that is 96, and 98 - 96 is 2."""
    assert 2026000042271500 % 97 == 96

    assert creditor_reference("2026-000042") == "RF022026000042"
    assert printed_reference("RF022026000042") == "RF02 2026 0000 42"


def test_the_examples_of_the_standard_check() -> None:
    assert is_creditor_reference("RF18 5390 0754 7034") and is_creditor_reference("rf18539007547034")
    assert not is_creditor_reference("RF19 5390 0754 7034")
    assert not is_creditor_reference("RF18") and not is_creditor_reference("2026-000042")


def test_a_number_longer_than_a_reference_keeps_its_end() -> None:
    """35 signs of which the last 21 tell one invoice from the next."""
    reference = creditor_reference("LONG-PREFIX-OF-A-SERIES/2026-000042")
    assert reference[4:] == "EFIXOFASERIES2026000042"[-21:] and is_creditor_reference(reference)
    assert creditor_reference("-") == ""


@given(numbers)
def test_every_reference_is_valid_to_an_independent_check(number: str) -> None:
    assert iso11649.is_valid(creditor_reference(number)) and is_creditor_reference(creditor_reference(number))


@given(numbers, st.integers(0, 24), st.sampled_from(bodies))
def test_a_mistyped_sign_is_noticed(number: str, at: int, sign: str) -> None:
    """A digit for a digit, a letter for a letter: between the two there are rare twins, such as 9 and O."""
    reference = creditor_reference(number)
    at = 4 + at % (len(reference) - 4)
    assume(reference[at].isdigit() == sign.isdigit())
    mistyped = reference[:at] + sign + reference[at + 1 :]

    assert is_creditor_reference(mistyped) == (mistyped == reference)


@given(numbers, st.sampled_from(["{}", "VIR {} MERCI", "payment of {}, thank you", "a\n{}\nb", "REF:{}/12"]))
def test_a_reference_is_found_in_a_text_in_groups_or_whole(number: str, text: str) -> None:
    reference = creditor_reference(number)

    assert reference in references_in(text.format(reference))
    assert reference in references_in(text.format(printed_reference(reference)))


def test_what_only_looks_like_a_reference_is_none() -> None:
    assert references_in("RF99 ABC") == () and references_in("PERF02 2026 0000 42") == ()
    assert references_in("RF02 2026 0000 42 and RF02 2026 0000 42") == ("RF022026000042",)
