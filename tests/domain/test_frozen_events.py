"""Which events of an hour a line counted, told by count, sum of identities and nearness to the instant of its issue."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain.frozen_events import Candidate, counted_then

ISSUED = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)


def candidate(number: int, *, received: float, cancelled: float | None = None) -> Candidate:
    """An event received so many seconds after the issue, and cancelled so many after it."""
    cancelled_at = None if cancelled is None else ISSUED + timedelta(seconds=cancelled)
    return Candidate(number.to_bytes(16, "big"), number, ISSUED + timedelta(seconds=received), cancelled_at)


def identities(*found: Candidate) -> frozenset[bytes]:
    return frozenset(item.identity for item in found)


def test_what_came_before_the_issue_was_counted() -> None:
    early, late = candidate(5, received=-3600), candidate(7, received=3600)
    found = counted_then([early, late], frozen_at=ISSUED, count=1, identity_sum=5)
    assert (found.identities, found.verified) == (identities(early), True)


def test_what_was_cancelled_later_was_counted() -> None:
    gone = candidate(5, received=-3600, cancelled=60)
    found = counted_then([gone], frozen_at=ISSUED, count=1, identity_sum=5)
    assert (found.identities, found.verified) == (identities(gone), True)


def test_of_two_events_received_at_the_very_instant_of_issue_the_sum_tells_which_was_counted() -> None:
    """1 event, identities 7 in all: the second, though both came at 09:30:00."""
    first, second = candidate(5, received=0), candidate(7, received=0)
    found = counted_then([first, second], frozen_at=ISSUED, count=1, identity_sum=7)
    assert (found.identities, found.verified) == (identities(second), True)


def test_an_event_that_was_received_before_the_issue_and_committed_after_it_was_not_counted() -> None:
    counted, waiting = candidate(5, received=-60), candidate(7, received=-0.02)
    found = counted_then([counted, waiting], frozen_at=ISSUED, count=1, identity_sum=5)
    assert (found.identities, found.verified) == (identities(counted), True)


def test_a_request_of_hundreds_of_events_was_counted_whole_or_not_at_all() -> None:
    before = [candidate(number, received=-60) for number in range(1, 201)]
    waiting = [candidate(number, received=-0.5) for number in range(201, 501)]
    after = [candidate(number, received=-0.2) for number in range(501, 521)]
    counted = [*before, *after]
    total = sum(item.number for item in counted)
    found = counted_then([*counted, *waiting], frozen_at=ISSUED, count=220, identity_sum=total)
    assert (found.identities, found.verified) == (identities(*counted), True)


def test_where_an_event_is_gone_nothing_is_verified() -> None:
    left = candidate(5, received=-60)
    found = counted_then([left], frozen_at=ISSUED, count=2, identity_sum=12)
    assert (found.identities, found.verified) == (identities(left), False)


def test_a_line_that_recorded_no_sum_is_checked_by_its_count() -> None:
    early, late = candidate(5, received=-60), candidate(7, received=60)
    assert counted_then([early, late], frozen_at=ISSUED, count=1, identity_sum=None).verified


@given(
    st.lists(
        st.tuples(st.integers(0, 2**32 - 1), st.sampled_from([-90, -1, 0, 1, 90]), st.booleans()),
        min_size=1, max_size=10, unique_by=lambda item: item[0],
    )
)  # fmt: skip
def test_whatever_was_counted_near_the_issue_is_found_again(drawn: list[tuple[int, int, bool]]) -> None:
    """Events at a second around the issue were counted or not, as it happened: count and sum lead back to them."""
    candidates = [candidate(number, received=seconds) for number, seconds, _ in drawn]
    counted = [
        item
        for item, (_, seconds, chance) in zip(candidates, drawn, strict=True)
        if seconds == -90 or (abs(seconds) <= 1 and chance)
    ]
    total = sum(item.number for item in counted)
    found = counted_then(candidates, frozen_at=ISSUED, count=len(counted), identity_sum=total)
    assert found.verified
    assert sum(item.number for item in candidates if item.identity in found.identities) == total
    assert len(found.identities) == len(counted)
