"""Which number does the next document of a seller have?

A pattern such as "F{year}/{seq:06}" gives F2026/000001, F2026/000002, .. and F2027/000001 in the next year. What stands
before the sequence is the stem; each stem counts by itself from 1, for good. So a pattern may change on any day, and
change back: no number is ever given twice, and none is left out.

The sequence stands last, and no digit before it: a number says by itself what its stem is and which one it is of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from app.domain.errors import FieldProblem

DEFAULT_PATTERN = "{year}-{seq:06}"
MAIN_SERIES = "main"
NUMBERED_TYPES = ("invoice", "credit_note", "statement")
MAX_NUMBER_LENGTH = 35
"""Of a number, as French platforms take it (BR-FR-01); it has letters, digits and + - _ / only."""

PATTERN = r"^[A-Za-z0-9+\-_/]*(\{year\}([A-Za-z0-9+\-_/]*\{month\})?[A-Za-z0-9+\-_/]*)?\{seq(:0[1-9])?\}$"
_ROOM_FOR_SEQUENCE = 9


@dataclass(frozen=True, slots=True)
class Numbering:
    """A seller's patterns: one for all documents, and for types that have a series of their own."""

    pattern: str = DEFAULT_PATTERN
    own: tuple[tuple[str, str], ...] = ()

    def series_of(self, type: str) -> tuple[str, str]:
        """(series, pattern) of a type of document."""
        for name, pattern in self.own:
            if name == type:
                return name, pattern
        return MAIN_SERIES, self.pattern


PLAIN_NUMBERING = Numbering()


def stem_of(pattern: str, day: date) -> str:
    """What stands before the sequence on the day."""
    before = pattern[: pattern.index("{seq")]
    return before.replace("{year}", f"{day.year:04}").replace("{month}", f"{day.month:02}")


def number_text(pattern: str, day: date, sequence: int) -> str:
    width = re.search(r"\{seq:0([1-9])\}", pattern)
    return f"{stem_of(pattern, day)}{sequence:0{int(width[1]) if width else 1}}"


def parse_number(number: str) -> tuple[str, int]:
    """(stem, sequence) of a number that a pattern gave."""
    stem = number.rstrip("0123456789")
    return stem, int(number[len(stem) :] or 0)


def numbering_problems(numbering: Numbering) -> Iterator[FieldProblem]:
    """Every rule that the patterns break; pointers start at the numbering."""
    seen: dict[str, str] = {}
    for name, pattern in (("pattern", numbering.pattern), *numbering.own):
        detail = _pattern_problem(pattern)
        if detail is None:
            before = pattern[: pattern.index("{seq")]
            if before in seen:
                detail = f"begins as {seen[before]}: a series of its own has numbers of its own"
            seen[before] = name
        if detail is not None:
            yield FieldProblem(f"/{name}", detail)


def _pattern_problem(pattern: str) -> str | None:
    if not re.fullmatch(PATTERN, pattern, re.ASCII):
        return (
            "must end with {seq} or {seq:06}, after letters, digits, + - _ / and at most one {year}, which a {month} "
            "may follow"
        )
    longest = stem_of(pattern, date(2026, 12, 31))
    if longest and longest[-1].isdigit():
        return "no digit, year or month may stand right before {seq}: put - or / between them"
    if len(longest) + _ROOM_FOR_SEQUENCE > MAX_NUMBER_LENGTH:
        return f"gives numbers of more than {MAX_NUMBER_LENGTH} characters"
    return None
