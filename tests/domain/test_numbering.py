"""Patterns of numbers: what they give, which are refused, and that no change of them gives a number twice."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.numbering import (
    DEFAULT_PATTERN,
    MAX_NUMBER_LENGTH,
    PATTERN,
    Numbering,
    number_text,
    numbering_problems,
    parse_number,
    stem_of,
)

DAY = date(2026, 3, 7)


@pytest.mark.parametrize(
    ("pattern", "number"),
    [
        (DEFAULT_PATTERN, "2026-000042"),
        ("{seq}", "42"),
        ("INV-{seq:04}", "INV-0042"),
        ("F{year}/{month}/{seq:03}", "F2026/03/042"),
        ("FA+{year}{month}_{seq}", "FA+202603_42"),
        ("{year}-A-{seq:02}", "2026-A-42"),
    ],
)
def test_a_pattern_gives_numbers(pattern, number):
    assert list(numbering_problems(Numbering(pattern))) == []
    assert number_text(pattern, DAY, 42) == number
    assert parse_number(number) == (stem_of(pattern, DAY), 42)


def test_a_sequence_grows_beyond_its_width():
    assert number_text("A-{seq:02}", DAY, 12345) == "A-12345"


@pytest.mark.parametrize(
    "pattern",
    [
        "", "2026", "{seq}-{year}", "{year}{seq}", "{year}-{month}{seq}", "A1{seq}", "{month}-{seq}", "{year}-{seq:6}",
        "{year}-{year}-{seq}", "{seq}{seq}", "A B{seq}", "A.{seq}", "{day}-{seq}", "é{seq}", "A" * 27 + "{seq}",
        "{seq:00}", "{seq:010}",
    ],
)  # fmt: skip
def test_a_pattern_that_might_give_a_number_twice_or_a_bad_one_is_refused(pattern):
    assert [item.pointer for item in numbering_problems(Numbering(pattern))] == ["/pattern"]


def test_two_series_have_numbers_of_their_own():
    same = Numbering("{year}-{seq:06}", (("credit_note", "{year}-{seq:03}"),))
    assert [item.pointer for item in numbering_problems(same)] == ["/credit_note"]
    apart = Numbering("{year}-{seq:06}", (("credit_note", "C{year}-{seq:06}"),))
    assert list(numbering_problems(apart)) == []
    assert [apart.series_of(name) for name in ("invoice", "credit_note")] == [
        ("main", "{year}-{seq:06}"), ("credit_note", "C{year}-{seq:06}"),
    ]  # fmt: skip


PIECES = st.lists(st.sampled_from(("A", "b", "7", "-", "/", "_", "+", "{year}", "{month}")), max_size=5)
PATTERNS = st.builds(
    lambda pieces, seq: "".join(pieces) + seq, PIECES, st.sampled_from(("{seq}", "{seq:01}", "{seq:03}", "{seq:06}"))
).filter(lambda pattern: not list(numbering_problems(Numbering(pattern))))


@given(st.lists(st.tuples(PATTERNS, st.integers(min_value=0, max_value=800)), min_size=1, max_size=30))
def test_whatever_the_patterns_and_their_changes_no_number_is_given_twice_and_none_is_left_out(steps):
    """Each document has a pattern and a day, not before that of the one before it."""
    counters: dict[str, int] = {}
    given_out: list[str] = []
    for pattern, days in sorted(steps, key=lambda step: step[1]):
        day = DAY + timedelta(days=days)
        stem = stem_of(pattern, day)
        counters[stem] = counters.get(stem, 0) + 1
        given_out.append(number_text(pattern, day, counters[stem]))
    assert len(set(given_out)) == len(given_out)
    assert all(len(number) <= MAX_NUMBER_LENGTH and re.fullmatch(r"[A-Za-z0-9+\-_/]+", number) for number in given_out)
    seen: dict[str, list[int]] = {}
    for number in given_out:
        stem, sequence = parse_number(number)
        seen.setdefault(stem, []).append(sequence)
    assert all(sequences == list(range(1, len(sequences) + 1)) for sequences in seen.values())


def test_the_published_pattern_is_the_one_that_is_held():
    assert re.fullmatch(PATTERN, DEFAULT_PATTERN)
