"""What a billed line froze, in short: enough to say that nothing has happened to it since, without its whole trace.

A line of 744 hours has a trace of some thousand numbers; its mark says "meter energy, 744 events, whose identities add
up to this". As long as the buckets of its stretch say the same, the line stands as it is (invariant I9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.events import instant_text, parse_instant
from app.domain.rating.inputs import NAMES


@dataclass(frozen=True, slots=True)
class Mark:
    """Of a line over a stretch up to `end`, in the phase of its subscription that began at `since` ('' in lines from
    before there were phases).

    `meter` and `meter_id` are '' and None for a fixed amount; `before` is what a meter that looks back had counted
    before the stretch. `is_plain` says that what stands billed is what the stretch alone was rated to: it shares
    nothing with other charges or periods, and no person has opened it again.
    """

    since: str
    meter: str
    meter_id: UUID | None
    end: datetime
    count: int
    identity_sum: int
    before: tuple[int, int] | None
    is_plain: bool


def mark_of(trace: Mapping[str, Any]) -> Mark | None:
    """None where the line was not rated from a plan: it counts as no use."""
    if "rated" not in trace:
        return None
    meter, usage = trace["meter"], trace["usage"]
    key, meter_id = ("", None) if meter is None else (meter["key"], UUID(meter["meter_id"]))
    before = usage.get("before")
    return Mark(
        trace.get("since", ""), key, meter_id, parse_instant(trace["stretch"][1]), usage["count"],
        usage["identity_sum"], None if before is None else (before[0], before[1]),
        not shares(trace) and "standing" not in trace,
    )  # fmt: skip


def shares(trace: Mapping[str, Any]) -> bool:
    """True where the line's amount depends on what other charges or other periods came to."""
    terms = trace["terms"]
    return (
        any(name in trace for name in (*NAMES, "coupons"))
        or any(name in terms for name in ("allowances", "minimum", "maximum", "commitment"))
        or "rollover" in terms["charges"][0]
    )


def keep_mark(mark: Mark | None) -> str:
    """As text, to be stored beside the line; '' where there is none."""
    if mark is None:
        return ""
    meter_id = "" if mark.meter_id is None else mark.meter_id.hex
    return json.dumps(
        [mark.since, mark.meter, meter_id, instant_text(mark.end), mark.count, mark.identity_sum, mark.before,
         mark.is_plain],
        ensure_ascii=False, separators=(",", ":"),
    )  # fmt: skip


def read_mark(text: str) -> Mark:
    since, meter, meter_id, end, count, identity_sum, before, is_plain = json.loads(text)
    return Mark(
        since, meter, UUID(hex=meter_id) if meter_id else None, parse_instant(end), count, identity_sum,
        None if before is None else (before[0], before[1]), is_plain,
    )  # fmt: skip
