"""What does a bank say was paid, and which invoice is meant?

An entry is one movement on a seller's bank account, as a statement tells it. Statements overlap, and a file may come
twice: an entry is known by what its bank calls it (or, where the bank does not, by all that it says), and by its place
among those of its statement that say the same. Two credits of 10.00 of one day, both without a reference, are two
entries; the same statement sent again has the same two.

A credit names the invoice by its creditor reference, else by its number in the text, else by its amount and the name of
the payer, where that is one invoice only.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from hashlib import blake2b
from typing import Literal
from uuid import UUID

from app.domain.money import plain
from app.domain.references import is_creditor_reference, reference_body, references_in

Direction = Literal["credit", "debit"]
BankEntryStatus = Literal["unmatched", "matched", "ignored"]
BANK_ENTRY_STATES: tuple[BankEntryStatus, ...] = ("unmatched", "matched", "ignored")
MatchedBy = Literal["reference", "number", "amount_and_name", "returned", "hand"]
MATCHED_BY: tuple[MatchedBy, ...] = ("reference", "number", "amount_and_name", "returned", "hand")


@dataclass(frozen=True, slots=True)
class BankEntry:
    """One movement; `amount` is above 0. Absent texts are ''.

    `account` is the seller's own (an IBAN without spaces); `entry_reference` what the bank calls the booking, and
    `transaction_reference` the movement inside it. `is_returned` says that an earlier movement comes back.
    """

    account: str
    booked_on: date
    amount: Decimal
    currency: str
    direction: Direction
    value_on: date | None = None
    entry_reference: str = ""
    transaction_reference: str = ""
    end_to_end_id: str = ""
    name: str = ""
    counterparty_account: str = ""
    references: tuple[str, ...] = ()
    text: str = ""
    is_returned: bool = False
    return_reason: str = ""

    @property
    def paid_on(self) -> date:
        """The day of value, but for one to come."""
        return self.booked_on if self.value_on is None else min(self.value_on, self.booked_on)


@dataclass(frozen=True, slots=True)
class BankStatement:
    """The booked entries of one account; `pending` is how many more were announced and not booked."""

    id: str
    account: str
    entries: tuple[BankEntry, ...]
    pending: int = 0


def identified(statement: BankStatement) -> list[tuple[UUID, BankEntry]]:
    """Each entry with its id, the same wherever it is told of again."""
    seen: dict[str, int] = {}
    found: list[tuple[UUID, BankEntry]] = []
    for entry in statement.entries:
        said = json.dumps(_told(entry), ensure_ascii=False)
        seen[said] = seen.get(said, 0) + 1
        digest = blake2b(f"{seen[said]} {said}".encode(), digest_size=16, person=b"bank entry")
        found.append((UUID(bytes=digest.digest()), entry))
    return found


def _told(entry: BankEntry) -> list[str]:
    always = [
        entry.account, entry.booked_on.isoformat(), plain(entry.amount), entry.currency, entry.direction,
        entry.transaction_reference, entry.end_to_end_id,
    ]  # fmt: skip
    if entry.entry_reference:
        return [*always, entry.entry_reference]
    return [*always, "", entry.name, entry.counterparty_account, *entry.references, " ".join(entry.text.split())]


# --- which invoice ----------------------------------------------------------------------------------------------------

_SHORTEST_NUMBER = 5
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WORDS_OF_A_NUMBER = 4
_WORD = re.compile(r"\d{1,2}\.\d{1,2}\.\d{2,4}|[A-Z0-9]+(?:[+/-][A-Z0-9]+)*", re.ASCII)
# A day is not the number of an invoice, though without its hyphens it may look like one.
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}[./-]\d{1,2}[./-](\d{4}|\d{2})", re.ASCII)


def creditor_references(entry: BankEntry) -> tuple[str, ...]:
    """The creditor references that the entry names, those of its own field first."""
    own = [text.replace(" ", "").upper() for text in entry.references if is_creditor_reference(text)]
    return tuple(dict.fromkeys([*own, *references_in(" ".join([*entry.references, entry.text]))]))


def number_candidates(entry: BankEntry) -> tuple[str, ...]:
    """What of the entry's text may be the number of an invoice, as letters and digits in capitals: each word, with and
    without the letters that it begins with, and a few words together, for banks take out hyphens and break lines."""
    told = _WORD.findall(" ".join([*entry.references, entry.text]).upper())
    words = [_compact(word) for word in told if not _DAY.fullmatch(word)]
    found: dict[str, None] = {}
    for start in range(len(words)):
        for count in range(1, _WORDS_OF_A_NUMBER + 1):
            whole = "".join(words[start : start + count])
            for candidate in (whole, whole.lstrip(_LETTERS)):
                if _SHORTEST_NUMBER <= len(candidate) <= 35 and any(sign.isdigit() for sign in candidate):
                    found[candidate] = None
    return tuple(found)


def _compact(word: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", word, flags=re.ASCII)


def compact_number(number: str) -> str:
    """An invoice's number as `number_candidates` has it."""
    return _compact(number.upper())


def names_reference(reference: str, number: str) -> bool:
    """True where the creditor reference is that of the invoice of this number."""
    return reference[4:] == reference_body(number)


_FORMS = """SA SAS SASU SARL SC SCI SNC EURL EI GIE GMBH AG KG OHG UG MBH LTD LIMITED PLC LLC LLP INC CORP CO BV NV SRL
SPA SL AB AS OY APS"""
_LEGAL_FORMS = frozenset(_FORMS.split())


def name_words(name: str) -> frozenset[str]:
    """The words of a company's name that tell it from others: without accents and legal forms, in capitals."""
    plain_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().upper()
    words = re.findall(r"[A-Z0-9]+", plain_text.replace(".", ""))
    telling = frozenset(word for word in words if word not in _LEGAL_FORMS)
    return telling or frozenset(words)


def is_same_name(told: str, known: Iterable[str]) -> bool:
    """True where the name that a bank tells is one of the names: the same words, or all words of one in the other."""
    words = name_words(told)
    if not words:
        return False
    for name in known:
        own = name_words(name)
        if own and (own <= words or words <= own) and any(len(word) >= 3 for word in own & words):
            return True
    return False
