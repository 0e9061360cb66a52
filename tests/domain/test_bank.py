"""What a bank statement says, in every version and spelling, and which invoice is meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.bank import BankEntry, BankStatement, creditor_references, identified, is_same_name, number_candidates
from app.domain.errors import InvalidInput, Malformed
from app.wire.bank import format_of
from app.wire.bank_csv import CsvMapping, decimal_sign, mapping_from_wire, read_amount, statement_from_csv
from app.wire.camt053 import statements_from_camt
from tests.scenarios.statements import IBAN, Booking, camt053

PAID = Booking(
    "42.00", text="Invoice 2026-000042", reference="RF022026000042", name="Acme & Fils SAS", end_to_end="E2E-1",
    servicer="SVC-1",
)  # fmt: skip
ENTRY = BankEntry(IBAN, date(2026, 11, 5), Decimal("42.00"), "EUR", "credit")


@pytest.mark.parametrize("version", ["02", "03", "04", "06", "08", "13"])
def test_a_credit_is_read_from_every_version(version: str) -> None:
    (statement,) = statements_from_camt(camt053(PAID, version=version))

    (entry,) = statement.entries
    assert (statement.id, statement.account, entry.amount, entry.currency) == ("STMT-1", IBAN, Decimal("42.00"), "EUR")
    assert (entry.direction, entry.booked_on, entry.paid_on) == ("credit", date(2026, 11, 5), date(2026, 11, 5))
    assert (entry.name, entry.text, entry.references) == ("Acme & Fils SAS", "Invoice 2026-000042", ("RF022026000042",))
    assert (entry.entry_reference, entry.end_to_end_id, entry.is_returned) == ("SVC-1", "E2E-1", False)


def test_names_that_banks_write_for_nothing_are_nothing() -> None:
    """NOTPROVIDED and NONREF say nothing; a short number is the booking's place in its statement."""
    (statement,) = statements_from_camt(camt053(replace(PAID, servicer="NONREF", entry="17", end_to_end="NOTPROVIDED")))

    assert (statement.entries[0].entry_reference, statement.entries[0].end_to_end_id) == ("", "")


def test_a_booking_of_several_movements_is_one_entry_for_each() -> None:
    """30.00 of 12.00 and 18.00; where the parts do not sum to it, it stays whole, with all their texts."""
    parts = [Booking("12.00", text="one", end_to_end="A"), Booking("18.00", text="two", end_to_end="B")]
    whole, broken = Booking("30.00", servicer="S", parts=parts), Booking("31.00", servicer="T", parts=parts)

    (statement,) = statements_from_camt(camt053(whole, broken))

    assert [(one.amount, one.text, one.end_to_end_id) for one in statement.entries] == [
        (Decimal("12.00"), "one", "A"), (Decimal("18.00"), "two", "B"), (Decimal("31.00"), "one two", ""),
    ]  # fmt: skip


def test_what_is_announced_and_not_booked_is_left_out() -> None:
    (statement,) = statements_from_camt(camt053(replace(PAID, status="PDNG"), PAID, version="02"))

    assert (len(statement.entries), statement.pending) == (1, 1)


def test_what_comes_back_says_so() -> None:
    reversal = Booking("42.00", debit=True, reversal=True, end_to_end="E2E-1")
    returned = Booking("42.00", debit=True, return_code="MD06", end_to_end="E2E-1")

    (statement,) = statements_from_camt(camt053(reversal, returned))

    assert [(one.direction, one.is_returned, one.return_reason) for one in statement.entries] == [
        ("debit", True, ""), ("debit", True, "MD06"),
    ]  # fmt: skip


BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<Document><BkToCstmrStmt>&b;</BkToCstmrStmt></Document>"""
FETCH = b"""<?xml version="1.0"?><!DOCTYPE d SYSTEM "http://127.0.0.1:9/x.dtd"><Document/>"""
FILE = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Document>&x;</Document>"""


@pytest.mark.parametrize(
    "content", [BOMB, FETCH, FILE, BOMB.decode().encode("utf-16")], ids=["bomb", "dtd", "file", "16"]
)
def test_a_document_type_is_refused_before_anything_of_it_is_read(content: bytes) -> None:
    with pytest.raises(Malformed):
        statements_from_camt(content)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<Document><Other/></Document>", InvalidInput), (b"<a>" * 100, Malformed), (b"", Malformed),
        (b"<Document>", Malformed), (camt053(replace(PAID, amount="1,5")), InvalidInput),
        (camt053(replace(PAID, amount="-1.00")), InvalidInput), (camt053(replace(PAID, currency="EURO")), InvalidInput),
        (camt053(replace(PAID, amount="1.005")), InvalidInput), (camt053(replace(PAID, day="5.11.2026")), InvalidInput),
        (camt053(PAID).replace(b"CRDT</CdtDbtInd><Sts>", b"PLUS</CdtDbtInd><Sts>"), InvalidInput),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        statements_from_camt(content)


# --- identity ---------------------------------------------------------------------------------------------------------


def ids(*entries: BankEntry) -> list[Any]:
    return [id for id, _ in identified(BankStatement("", IBAN, entries))]


def test_an_entry_is_known_by_what_its_bank_calls_it() -> None:
    """Whatever else its text says in another statement; and another reference is another entry."""
    named = replace(ENTRY, entry_reference="SVC-1", text="as of today")

    assert ids(named) == ids(replace(named, text="as of tomorrow"))
    assert ids(named) != ids(replace(named, entry_reference="SVC-2"))
    assert ids(named) != ids(replace(named, direction="debit"))


def test_entries_that_say_the_same_are_told_apart_by_their_number() -> None:
    """Two of 42.00 without a reference are two, and the same two in a statement that overlaps."""
    first = ids(ENTRY, ENTRY, replace(ENTRY, text="other"))

    assert len(set(first)) == 3
    assert ids(replace(ENTRY, text="other"), ENTRY, ENTRY) == [first[2], first[0], first[1]]


# --- which invoice ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2026-000042",
        "FACTURE 2026-000042 MERCI",
        "fact.2026 000042",
        "INV:2026-\n000042",
        "RE 2026/000042.",
        "2026000042",
    ],
)
def test_a_number_is_found_however_the_bank_breaks_it(text: str) -> None:
    assert "2026000042" in number_candidates(replace(ENTRY, text=text))


def test_a_day_is_no_number() -> None:
    assert number_candidates(replace(ENTRY, text="du 2026-11-05 au 05/11/2026")) == ()


def test_the_reference_of_its_own_field_comes_first() -> None:
    entry = replace(ENTRY, references=("RF02 2026 0000 42", "17"), text="RF18539007547034")

    assert creditor_references(entry) == ("RF022026000042", "RF18539007547034")


@pytest.mark.parametrize(
    ("told", "known", "same"),
    [
        ("ACME SAS", "Acme", True), ("SARL ÉLAN & CIE", "Elan et Cie", True), ("S.A.S. Élan", "Elan SA", True),
        ("M. ACME FRANCE PARIS", "Acme France", True), ("ACME", "Acme Nord", True), ("Borealis", "Acme", False),
        ("", "Acme", False), ("SAS", "Acme SAS", False),
    ],
)  # fmt: skip
def test_a_company_is_known_by_the_words_that_tell_it_from_others(told: str, known: str, same: bool) -> None:
    assert is_same_name(told, [known]) is same


# --- CSV --------------------------------------------------------------------------------------------------------------


def read(content: str, **mapping: Any) -> list[BankEntry]:
    return list(statement_from_csv(content.encode(), mapping_from_wire(mapping), currency="EUR").entries)


def test_a_french_file_is_read_by_itself() -> None:
    """Semicolons, decimal commas, spaces between thousands, days first, Latin-1, debit and credit apart."""
    text = (
        "Date opération;Date valeur;Libellé;Débit;Crédit\n05/11/2026;06/11/2026;VIR ACME 2026-000042;;1 042,00\n"
        "06/11/2026;;FRAIS;-3,50;\n"
    )

    statement = statement_from_csv(text.encode("cp1252"), CsvMapping(), currency="EUR")

    assert [(one.amount, one.direction, one.booked_on, one.value_on, one.text) for one in statement.entries] == [
        (Decimal("1042.00"), "credit", date(2026, 11, 5), date(2026, 11, 6), "VIR ACME 2026-000042"),
        (Decimal("3.50"), "debit", date(2026, 11, 6), None, "FRAIS"),
    ]  # fmt: skip


def test_a_mapping_says_what_is_where() -> None:
    content = "exported 2026\nwhen|what|more|sum|who|money\n11/05/2026|Invoice|2026-000042|42.5|Acme|usd\n"

    (entry,) = read(
        content, skip_lines=1, date="when", text=["what", "more"], amount="sum", name="who", currency="money",
        account="FR76 3000 6000", date_format="%m/%d/%Y", delimiter="|",
    )  # fmt: skip

    assert (entry.booked_on, entry.text, entry.amount) == (date(2026, 11, 5), "Invoice 2026-000042", Decimal("42.5"))
    assert (entry.name, entry.currency, entry.account) == ("Acme", "USD", "FR7630006000")


@pytest.mark.parametrize(
    ("text", "decimal", "amount"),
    [
        ("1 234,56 €", ",", "1234.56"), ("-1.234,56", ",", "-1234.56"), ("1'234.56", ".", "1234.56"),
        ("(5.00)", ".", "-5.00"), ("5,00-", ",", "-5.00"), ("+12", "", "12"), ("", ".", "0"), ("EUR 3.10", ".", "3.10"),
        ("\u22127,00", ",", "-7.00"),
    ],
)  # fmt: skip
def test_amounts_in_every_spelling(text: str, decimal: str, amount: str) -> None:
    assert read_amount(text, decimal) == Decimal(amount)


@pytest.mark.parametrize("text", ["1.2.3", "x", "1e5", "12,5,0"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        read_amount(text, "." if "." in text else ",")


def test_the_decimal_sign_is_seen_from_the_file_where_it_can_be() -> None:
    """1,234 alone may be either; beside 1,50, or 1,234.00, it may not."""
    assert decimal_sign(["1,234", "1,50"]) == "," and decimal_sign(["1,234", "1,234.00"]) == "."
    assert decimal_sign(["1,234,567"]) == "." and decimal_sign(["12", ""]) == ""
    with pytest.raises(InvalidInput):
        decimal_sign(["1,234"])


@pytest.mark.parametrize(
    ("text", "mapping"),
    [
        ("", {}), ("a,b\n1,2\n", {}), ("date,amount\nx,1.00\n", {}), ("date,amount\n2026-11-05,1.005\n", {}),
        ("date,amount\n2026-11-05,1.00\n", {"name": "who"}), ("date,amount,currency\n2026-11-05,1.00,EURO\n", {}),
        ("date,credit,debit\n2026-11-05,1.00,2.00\n", {}), ("date\n2026-11-05\n", {}),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_in_one_way_is_refused(text: str, mapping: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read(text, **mapping)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_statement_or_a_clear_refusal(content: bytes) -> None:
    try:
        if format_of(content) == "csv":
            statement_from_csv(content, CsvMapping(), currency="EUR")
        else:
            statements_from_camt(content)
    except InvalidInput as error:
        assert error.detail


def test_a_file_is_known_by_how_it_begins() -> None:
    assert format_of(b"\xef\xbb\xbf <?xml") == "camt.053" and format_of(b"date,amount") == "csv"
