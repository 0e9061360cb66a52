"""What does a platform say of an e-invoice that was handed to it?

The life cycle of the French reform: 200 deposited, 202 received, 205 approved, 212 paid, 213 rejected. A platform may
say the same twice, late, or in another order than it happened: what is kept is what it said, one row after the other,
and nothing of it changes the document.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

NAMES: dict[str, str] = {
    "200": "deposited", "201": "issued", "202": "received", "203": "made available", "204": "taken in charge",
    "205": "approved", "206": "approved in part", "207": "disputed", "208": "suspended", "209": "completed",
    "210": "refused", "211": "payment sent", "212": "paid", "213": "rejected",
}  # fmt: skip
"""The codes of XP Z12-012, and their names."""


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """One thing that was said: `at` is when it was so by the platform's word, `received_at` when it was told here.

    `external_id` is the platform's own name for the message, '' where it gave none; absent texts are ''.
    """

    sequence: int
    code: str
    at: datetime
    received_at: datetime
    platform: str = ""
    reason: str = ""
    reason_code: str = ""
    external_id: str = ""

    @property
    def name(self) -> str:
        return NAMES[self.code]

    def says_the_same_as(self, other: PlatformStatus) -> bool:
        """True where both are one message, whenever they came."""
        return (self.code, self.at, self.platform, self.reason, self.reason_code) == (
            other.code, other.at, other.platform, other.reason, other.reason_code,
        )  # fmt: skip
