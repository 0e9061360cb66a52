"""When a message is tried again, and when it is given up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.deliveries import (
    LONGEST_ASKED_WAIT,
    LONGEST_WAIT,
    PATIENCE,
    Outcome,
    Verdict,
    decide,
    fails_for_too_long,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REFUSED = Outcome(503, "answered 503")


def waits(outcome: Outcome, *, chance: float = 0.5) -> list[timedelta]:
    """The time between the tries of a message that is never taken."""
    found: list[timedelta] = []
    since, now = NOW, NOW
    while True:
        verdict = decide(outcome, attempts=len(found) + 1, since=since, now=now, chance=chance)
        if verdict.due_at is None:
            return found
        found.append(verdict.due_at - now)
        now = verdict.due_at


def test_each_wait_is_four_times_as_long_up_to_six_hours():
    """5 s, 20 s, 80 s, 320 s, 1280 s, 5120 s, 20480 s, then 6 h (21600 s) each time."""
    seconds = [wait.total_seconds() for wait in waits(REFUSED)]

    assert seconds[:9] == [5, 20, 80, 320, 1280, 5120, 20480, 21600, 21600]
    assert set(seconds[7:]) == {21600}


def test_a_message_is_tried_for_five_days():
    """27227 s for the first seven waits, then 6 hours each: the 18th of these would end after 432000 s."""
    assert timedelta(days=5) - LONGEST_WAIT < sum(waits(REFUSED), timedelta(0)) <= timedelta(days=5)


def test_chance_makes_a_wait_a_fifth_shorter_or_longer():
    assert waits(REFUSED, chance=0)[0] == timedelta(seconds=4)
    assert waits(REFUSED, chance=1)[0] == timedelta(seconds=6)


def test_what_is_taken_is_delivered():
    assert decide(Outcome(204), attempts=1, since=NOW, now=NOW, chance=0) == Verdict("delivered")


@pytest.mark.parametrize("outcome", [Outcome(410, "answered 410"), Outcome(550, "no such box", is_final=True)])
def test_what_no_try_can_change_is_given_up_at_once(outcome):
    assert decide(outcome, attempts=1, since=NOW, now=NOW, chance=0) == Verdict("failed")


@pytest.mark.parametrize(
    ("attempts", "text", "seconds"),
    [
        (1, "120", 120), (1, " 120 ", 120), (8, "120", 120),
        (1, "Mon, 23 Nov 2026 12:10:00 GMT", 600), (1, "Monday, 23-Nov-26 12:10:00 GMT", 600),
        (1, "9" * 50, 86400), (1, "Mon, 23 Nov 2099 12:10:00 GMT", 86400),  # a day at most
        (1, "0", 5), (8, "0", 60), (8, "Mon, 23 Nov 2020 12:10:00 GMT", 60),  # at once is for the first tries
        (2, "soon", 20), (2, "", 20), (2, "-5", 20), (2, "1.5", 20), (2, "٣", 20),  # nothing that can be read
    ],
)  # fmt: skip
def test_a_receiver_may_say_when(attempts, text, seconds):
    outcome = Outcome(429, "answered 429", text)

    verdict = decide(outcome, attempts=attempts, since=NOW, now=NOW, chance=0.5)

    assert verdict == Verdict("pending", NOW + timedelta(seconds=seconds))


@given(
    st.integers(1, 10**6), st.timedeltas(timedelta(0), timedelta(days=9)), st.floats(0, 1),
    st.text(max_size=40) | st.integers(0, 10**12).map(str),
)  # fmt: skip
def test_a_message_waits_for_a_day_at_most_and_never_beyond_its_five_days(attempts, age, chance, text):
    verdict = decide(Outcome(500, "no", text), attempts=attempts, since=NOW - age, now=NOW, chance=chance)

    if verdict.status == "pending":
        assert verdict.due_at is not None
        assert timedelta(seconds=4) <= verdict.due_at - NOW <= max(LONGEST_ASKED_WAIT, LONGEST_WAIT * 1.2)
        assert verdict.due_at <= NOW - age + PATIENCE
    else:
        assert verdict == Verdict("failed") and NOW - age + PATIENCE < NOW + LONGEST_ASKED_WAIT


def test_an_endpoint_may_fail_for_five_days():
    assert not fails_for_too_long(None, NOW)
    assert not fails_for_too_long(NOW - PATIENCE + timedelta(seconds=1), NOW)
    assert fails_for_too_long(NOW - PATIENCE, NOW)
