"""What becomes of a message that was tried to deliver?

The wait is four times as long after each try: 5 s, 20 s, 80 s, .. up to 6 hours, each a fifth shorter or longer by
chance, so that what failed together does not come back together. A receiver that was down for a day has its messages 6
hours after it is back, at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

Channel = Literal["webhook", "email"]
CHANNELS: tuple[Channel, ...] = ("webhook", "email")
Status = Literal["pending", "delivered", "failed"]
STATUSES: tuple[Status, ...] = ("pending", "delivered", "failed")

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=6)
LONGEST_ASKED_WAIT = timedelta(days=1)
SHORTEST_ASKED_WAIT = timedelta(seconds=60)
"""Who asks for less waits as long as he would have, up to this."""
PATIENCE = timedelta(days=5)
"""How long a message is tried, and how long an endpoint may fail before it is disabled."""
_FACTOR = 4
_GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a receiver did with one try: the status that it answered, None where it gave no answer.

    `error` is '' where the message was taken. `retry_after` is that header as it came. `is_final` says that no further
    try can end otherwise.
    """

    status: int | None = None
    error: str = ""
    retry_after: str = ""
    is_final: bool = False

    @property
    def is_taken(self) -> bool:
        return not self.error

    @property
    def is_gone(self) -> bool:
        return self.status == _GONE


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of the delivery from now on: `due_at` is when it is tried again, None where it is not."""

    status: Status
    due_at: datetime | None = None


def decide(outcome: Outcome, *, attempts: int, since: datetime, now: datetime, chance: float) -> Verdict:
    """`attempts` counts this one; `since` is when the message was to be sent first; `chance` is from 0 to 1."""
    if outcome.is_taken:
        return Verdict("delivered")
    if outcome.is_final or outcome.is_gone:
        return Verdict("failed")
    wait = _wait(attempts) * (0.8 + 0.4 * chance)
    asked = _asked(outcome.retry_after, now)
    if asked is not None:
        wait = min(max(asked, min(wait, SHORTEST_ASKED_WAIT)), LONGEST_ASKED_WAIT)
    again_at = now + wait
    return Verdict("failed") if again_at > since + PATIENCE else Verdict("pending", again_at)


def _wait(attempts: int) -> timedelta:
    factor: int = _FACTOR ** min(max(attempts, 1) - 1, 10)
    return min(FIRST_WAIT * factor, LONGEST_WAIT)


def _asked(text: str, now: datetime) -> timedelta | None:
    """The wait that a Retry-After asks for (RFC 9110, 10.2.3: seconds or a date); None where it cannot be read."""
    plain = text.strip()
    if plain.isascii() and plain.isdigit():
        return timedelta(seconds=min(int(plain[:9]), 10**8))
    try:
        at = parsedate_to_datetime(plain)
    except (ValueError, TypeError, IndexError):
        return None
    return max((at if at.tzinfo else at.replace(tzinfo=UTC)) - now, timedelta(0))


def fails_for_too_long(failing_since: datetime | None, now: datetime) -> bool:
    """True where everything has failed for so long that an endpoint is disabled."""
    return failing_since is not None and now - failing_since >= PATIENCE
