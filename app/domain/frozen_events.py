"""Which events of an hour were counted when a line froze?

A line records how many events each hour had and the sum of their identities (32 bits of each). Events that came or were
cancelled since are told apart by that, and by when they were received: of three events received at 08:00, 09:00 and
10:00 a line issued at 09:30 counted two, and their identities add up to the recorded sum. A mark of time alone does not
decide: an event may be received before a document is issued and committed after it, or both may have the same instant.
So the events nearest to that instant are tried one way and the other until count and sum agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import combinations

_MOST_NEAR = 400
_MOST_DOUBTFUL = 14
"""Groups that are tried in every combination: 16,384 of them, so that a false sum among 32 bits stays unlikely."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event of the hour that the meter measures. `cancelled_at` None: it still counts."""

    identity: bytes
    number: int
    received_at: datetime
    cancelled_at: datetime | None

    def counted_at(self, instant: datetime) -> bool:
        """True where its marks of time say that it counted."""
        return self.received_at <= instant and (self.cancelled_at is None or self.cancelled_at > instant)

    def counted_before(self, instant: datetime) -> bool:
        """The same, just before the instant."""
        return self.received_at < instant and (self.cancelled_at is None or self.cancelled_at >= instant)


@dataclass(frozen=True, slots=True)
class Counted:
    """The identities that were counted; `verified` is True when count and sum are those recorded."""

    identities: frozenset[bytes]
    verified: bool


def counted_then(
    candidates: Sequence[Candidate], *, frozen_at: datetime, count: int, identity_sum: int | None
) -> Counted:
    """Those of the hour's candidates that the line counted; where none agree with what it recorded, what their marks of
    time say. Of a line that recorded no sum (None) the count alone has to agree."""
    said = [item for item in candidates if item.counted_at(frozen_at)]
    missing = count - len(said)
    missing_sum = None if identity_sum is None else identity_sum - sum(item.number for item in said)
    identities = frozenset(item.identity for item in said)
    for turned in _guesses(candidates, frozen_at):
        if _agree(turned, frozen_at, missing, missing_sum):
            return Counted(identities ^ {item.identity for item in turned}, True)
    return Counted(identities, False)


def _agree(turned: Sequence[Candidate], frozen_at: datetime, missing: int, missing_sum: int | None) -> bool:
    """True where turning these, counted or not, adds just what is missing."""
    signs = [-1 if item.counted_at(frozen_at) else 1 for item in turned]
    if sum(signs) != missing:
        return False
    added = sum(sign * item.number for sign, item in zip(signs, turned, strict=True))
    return missing_sum is None or added == missing_sum


def _guesses(candidates: Sequence[Candidate], frozen_at: datetime) -> Iterator[Sequence[Candidate]]:
    """What may have to be turned of that which the marks of time say, the likeliest first: nothing; all on one side of
    another instant near by; any of the events that lie nearest."""
    yield ()
    near = nsmallest(_MOST_NEAR, candidates, key=lambda item: _distance(item, frozen_at))
    for mark in _nearest_marks(near, frozen_at):
        yield [item for item in near if item.counted_before(mark) is not item.counted_at(frozen_at)]
        yield [item for item in near if item.counted_at(mark) is not item.counted_at(frozen_at)]
    # What came in one request, or was cancelled in one, was kept in one transaction.
    yield from _combined(near, lambda item: (item.received_at, item.cancelled_at))
    yield from _combined(near, lambda item: item.identity)


def _nearest_marks(near: Iterable[Candidate], frozen_at: datetime) -> list[datetime]:
    marks = {mark for item in near for mark in (item.received_at, item.cancelled_at) if mark is not None}
    return sorted(marks, key=lambda mark: (abs(mark - frozen_at), mark))


def _combined(near: Sequence[Candidate], group: Callable[[Candidate], object]) -> Iterator[Sequence[Candidate]]:
    """Every combination of the nearest groups, few at a time."""
    groups: dict[object, list[Candidate]] = {}
    for item in near:
        groups.setdefault(group(item), []).append(item)
    doubtful = list(groups.values())[:_MOST_DOUBTFUL]
    for size in range(1, len(doubtful) + 1):
        for chosen in combinations(doubtful, size):
            yield [item for items in chosen for item in items]


def _distance(item: Candidate, frozen_at: datetime) -> timedelta:
    marks = [item.received_at, *([item.cancelled_at] if item.cancelled_at else [])]
    return min(abs(mark - frozen_at) for mark in marks)
