"""A stream of usage events as a busy producer sends it, the same in every run.

1,000 tenants whose use follows Zipf's law with exponent 1.1; 1% of the events were sent long before and come again,
and one in a thousand comes again with another content.

    live      all within two hours, so every bucket is hot: what a service sees day by day
    ordered   a month that advances with the stream: nearly a bucket row for every event
    hot       one tenant within one hour, 130 regions: every event waits for the same 131 bucket rows
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Literal

StreamKind = Literal["live", "ordered", "hot"]

EVENT_TYPE = "completion"
REQUESTS = {"event_type": EVENT_TYPE, "aggregation": "count", "unit": "request"}
TOKENS = {
    "event_type": EVENT_TYPE, "aggregation": "sum", "property": "$.tokens", "unit": "token",
    "dimensions": {"region": "$.region"},
}  # fmt: skip

MONTH_START = datetime(2026, 9, 1, tzinfo=UTC)
_REGIONS = ("eu-west-1", "eu-south-1", "us-east-1", "ap-south-1")
_HOT_REGIONS = tuple(f"region-{number}" for number in range(130))
_HOURS = {"live": 2, "ordered": 29 * 24, "hot": 1}
_FAR_BACK = 5_000  # a duplicate of an event still in flight would wait for its transaction: another question


@dataclass(frozen=True)
class Stream:
    """The events as JSON texts, in order, and how many of them are not duplicates."""

    kind: StreamKind
    events: tuple[bytes, ...]
    distinct: int

    def bodies(self, size: int) -> Iterator[bytes]:
        """Request bodies of `size` events each; of one event where the size is 1."""
        if size == 1:
            yield from self.events
            return
        for start in range(0, len(self.events), size):
            yield b"[" + b",".join(self.events[start : start + size]) + b"]"


def tenant_keys(tenants: int) -> list[str]:
    return [f"tenant-{number:05}" for number in range(tenants)]


def make_stream(kind: StreamKind, *, events: int, tenants: int, prefix: str = "e", seed: int = 1) -> Stream:
    rng = random.Random(seed)
    keys = tenant_keys(1 if kind == "hot" else tenants)
    regions = _HOT_REGIONS if kind == "hot" else _REGIONS
    weights = list(accumulate(1 / rank**1.1 for rank in range(1, len(keys) + 1)))
    made: list[bytes] = []
    distinct = 0
    for number, subject in enumerate(rng.choices(keys, cum_weights=weights, k=events)):
        chance = rng.random() if number > _FAR_BACK else 1
        if chance < 0.011:
            earlier = made[rng.randrange(number - _FAR_BACK)]
            made.append(earlier if chance < 0.01 else earlier.replace(b'"model":"m-', b'"model":"other-'))
            continue
        distinct += 1
        part = number / events if kind == "ordered" else rng.random()
        at = MONTH_START + timedelta(hours=_HOURS[kind]) * part
        made.append(_text(_event(f"{prefix}-{number:08}", subject, at, regions, rng)))
    return Stream(kind, tuple(made), distinct)


def _event(id: str, subject: str, at: datetime, regions: Sequence[str], rng: random.Random) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": id, "source": f"/gateway/{rng.randrange(10)}", "type": EVENT_TYPE,
        "subject": subject, "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": {"tokens": rng.randrange(1, 5000), "region": rng.choice(regions), "model": f"m-{rng.randrange(4)}"},
    }  # fmt: skip


def _text(event: dict[str, Any]) -> bytes:
    return json.dumps(event, separators=(",", ":")).encode()


def chunks(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
