"""What became of the events of one request, in the words of the HTTP contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.problems import PROBLEM_BASE
from app.operations.ingest_events import Outcome, Outcomes

_PLURALS = {
    "accepted": "accepted", "duplicate": "duplicates", "conflict": "conflicts", "quarantined": "quarantined",
    "rejected": "rejected",
}  # fmt: skip


def named(found: Mapping[Any, int]) -> dict[str, int]:
    """The numbers by outcome, by the names that answers have for them."""
    return {plural: found.get(status, 0) for status, plural in _PLURALS.items()}


def summary(outcomes: Outcomes) -> dict[str, Any]:
    """The counts, and every event that was not accepted by its position."""
    entries = [exception(index, outcome) for index, outcome in outcomes.exceptions.items()]
    return {**named(outcomes.counts()), "exceptions": entries}


def exception(index: int, outcome: Outcome) -> dict[str, Any]:
    """What is said of an event that was not accepted."""
    entry: dict[str, Any] = {"index": index, "id": outcome.id, "status": outcome.status}
    if outcome.reason is not None:
        entry |= {"reason": outcome.reason, "detail": outcome.detail}
    if outcome.status == "rejected":
        entry["problem"] = rejection(outcome, f"/{index}")
    return entry


def rejection(outcome: Outcome, position: str) -> dict[str, Any]:
    """The problem of a malformed event that stands at the position of what was sent."""
    return {
        "type": PROBLEM_BASE + "event-rejected", "title": "Event rejected", "detail": outcome.detail,
        "errors": [{"pointer": f"#{position}{outcome.pointer}", "detail": outcome.detail}],
    }  # fmt: skip


def not_kept(outcomes: Outcomes) -> list[tuple[int, Outcome]]:
    """The events, by position, of which nothing is kept: the malformed, and those in conflict with a kept one."""
    return [item for item in outcomes.exceptions.items() if item[1].status in ("rejected", "conflict")]


def not_kept_detail(outcomes: Outcomes) -> str:
    """How many were not kept, and what that means for the others."""
    lost = len(not_kept(outcomes))
    if lost == outcomes.sent:
        return "Nothing of it was kept; `errors` says why."
    rest = "The others are kept: sent again, they count once."
    return f"{lost} of {outcomes.sent} events not kept: `errors` says which and why. {rest}"
