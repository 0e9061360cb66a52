"""Whose use an event subject is, and was."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import EARLIEST
from app.domain.ids import NOBODY
from app.domain.tenants import Claim, History, SubjectWish, claimed, given_up, taken_away

ACME, BETA = UUID(int=1), UUID(int=2)


def day(number: int) -> datetime:
    return datetime(2026, 5, number, tzinfo=UTC)


def history(*claims: tuple[datetime, UUID]) -> History:
    return tuple(Claim("badge", from_at, tenant_id) for from_at, tenant_id in claims)


def test_the_first_to_claim_a_subject_has_it_from_ever() -> None:
    assert claimed((), SubjectWish("badge"), ACME, now=day(3)) == history((EARLIEST, ACME))
    assert claimed((), SubjectWish("badge", day(2)), ACME, now=day(3)) == history((day(2), ACME))


def test_a_claim_repeated_changes_nothing() -> None:
    first = history((EARLIEST, BETA), (day(2), ACME))
    assert claimed(first, SubjectWish("badge"), ACME, now=day(9)) == first
    assert claimed(first, SubjectWish("badge", day(2)), ACME, now=day(9)) == first


def test_a_move_begins_now_unless_an_instant_is_named() -> None:
    first = history((EARLIEST, ACME))
    assert claimed(first, SubjectWish("badge"), BETA, now=day(3)) == history((EARLIEST, ACME), (day(3), BETA))
    assert claimed(first, SubjectWish("badge", day(7)), BETA, now=day(3)) == history((EARLIEST, ACME), (day(7), BETA))


def test_a_move_replaces_the_moves_after_it() -> None:
    first = history((EARLIEST, ACME), (day(3), BETA), (day(5), NOBODY))
    assert claimed(first, SubjectWish("badge", day(2)), ACME, now=day(9)) == history((EARLIEST, ACME))


def test_a_later_beginning_gives_back_what_was_before() -> None:
    first = history((EARLIEST, BETA), (day(2), ACME))
    assert claimed(first, SubjectWish("badge", day(4)), ACME, now=day(9)) == history((EARLIEST, BETA), (day(4), ACME))
    only = history((EARLIEST, ACME))
    assert claimed(only, SubjectWish("badge", day(4)), ACME, now=day(9)) == history((EARLIEST, NOBODY), (day(4), ACME))


def test_a_subject_given_up_is_nobodys_and_may_be_claimed_again() -> None:
    gone = given_up(history((EARLIEST, ACME)), now=day(3))
    assert gone == history((EARLIEST, ACME), (day(3), NOBODY))
    assert claimed(gone, SubjectWish("badge"), BETA, now=day(5)) == (*gone, Claim("badge", day(5), BETA))
    assert claimed(gone, SubjectWish("badge"), ACME, now=day(3)) == history((EARLIEST, ACME))


def test_a_claim_that_has_not_begun_is_given_up_as_if_never_made() -> None:
    planned = history((EARLIEST, BETA), (day(9), ACME))
    assert given_up(planned, now=day(3)) == history((EARLIEST, BETA))


def test_what_is_taken_away_is_named_with_its_stretch() -> None:
    before = history((EARLIEST, ACME), (day(5), NOBODY))
    after = history((EARLIEST, ACME), (day(2), BETA))
    assert list(taken_away(before, after)) == [(ACME, day(2), day(5))]
    assert list(taken_away(after, before)) == [(BETA, day(2), day(5)), (BETA, day(5), None)]


_moves = st.lists(st.tuples(st.sampled_from([ACME, BETA]), st.none() | st.integers(1, 28), st.booleans()), max_size=8)


@given(_moves)
def test_a_history_is_always_in_order_and_says_nothing_twice(moves: list[tuple[UUID, int | None, bool]]) -> None:
    """Whatever is claimed and given up: instants rise, neighbours differ, and the last to claim has it."""
    found: History = ()
    for number, (tenant_id, start, gives_up) in enumerate(moves, 1):
        now = day(number)
        if gives_up and found and found[-1].tenant_id == tenant_id:
            found = given_up(found, now=now)
        else:
            found = claimed(found, SubjectWish("badge", None if start is None else day(start)), tenant_id, now=now)
            assert found[-1].tenant_id == tenant_id
        instants = [claim.from_at for claim in found]
        assert instants == sorted(set(instants))
        assert all(a.tenant_id != b.tenant_id for a, b in pairwise(found))
