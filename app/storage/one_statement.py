"""Keep and count in one statement of PostgreSQL: a group of events goes there once, and one answer comes back.

    held    the catalog's version, held against changes; nothing is kept where it is not the one judged under
    kept    the events, in key order
    added   what the meters measured of them, folded by bucket, in key order

The statement is a transaction of its own, so row locks are held while the server works and no longer. Which events are
new was asked before (`find_known`), without a lock: where another transaction brings one of them meanwhile, the
statement does nothing, and both are asked for again. What an event contributes was decided before; SQL only adds and
compares exact numbers, as `aggregation.merge` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from struct import unpack
from typing import Any, NamedTuple

import psycopg

from app.domain.acceptance import Judged
from app.domain.aggregation import cell_of
from app.domain.events import HOUR_MICROSECONDS, UsageEvent
from app.domain.ids import NOBODY, name_of
from app.storage import event_store, packed_arrays
from app.storage.database import Database
from app.storage.packed_arrays import Packed
from app.storage.usage_store import merging


class Answer(NamedTuple):
    """`version` is the one that stood: where it was another than judged under, nothing was kept. `copies_open` says
    that copies of known tenants lie in quarantine."""

    version: int
    copies_open: bool


_CONTENT = ("source", "id", "type", "subject", "resource", "time", "time_sent", "data")
# Key by key, whatever the planner makes of a table of which it knows little: never by a walk through all of it.
_FIND_KNOWN = (
    "SELECT sent.n, kept.* FROM unnest($1::uuid[], $2::uuid[], $3::bytea[]) WITH ORDINALITY "
    "AS sent (tenant_id, identity, digest, n) "
    f"CROSS JOIN LATERAL (SELECT digest, {', '.join(_CONTENT)} FROM events "
    "WHERE events.tenant_id = sent.tenant_id AND events.identity = sent.identity OFFSET 0) AS known "
    f"LEFT JOIN LATERAL (SELECT {', '.join(f'known.{name}' for name in _CONTENT)} "
    "WHERE known.digest <> sent.digest) AS kept ON true"
)


def find_known(database: Database, judged: Sequence[Judged]) -> dict[int, UsageEvent]:
    """By position the event that is kept of an identity now: its own, where it is the same to the byte."""
    parameters = (
        packed_arrays.ids([name_of(item.tenant_id) for item in judged]),
        packed_arrays.ids([item.identity for item in judged]), packed_arrays.digests([item.digest for item in judged]),
    )  # fmt: skip
    found: dict[int, UsageEvent] = {}
    for n, *content in database.ask(_FIND_KNOWN, parameters):
        found[n - 1] = judged[n - 1].event if content[0] is None else _event(dict(zip(_CONTENT, content, strict=True)))
    return found


def _event(row: dict[str, Any]) -> UsageEvent:
    return event_store.usage_event(row | {"time": row["time"].astimezone(UTC), "attributes": ""})


# --- the statement ----------------------------------------------------------------------------------------------------

_NAMES = ", ".join(f'"{name}"' for name in event_store.COLUMNS)
_TOTALS = ("count", "identity_sum", "sum")
_EXTREMES = ("min", "max", "last_value", "last_at", "last_source", "last_id")
_ANSWER = (
    f"SELECT held.version, EXISTS (SELECT FROM quarantine WHERE status = 'open' AND tenant_id <> '{NOBODY}') FROM held"
)
_SENT = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(event_store.SENT_TYPES, 2))
# Of each event its bucket's tenant and hour, and what adds up of it; and, where a meter asks for the latest, its place
# in time.
_OWN = "unnest($2::uuid[], $15::timestamptz[], $16::integer[]) WITH ORDINALITY AS own (tenant_id, start, number, n)"
_OWN_IN_TIME = (
    "unnest($2::uuid[], $15::timestamptz[], $16::integer[], $9::timestamptz[], $4::text[], $5::text[]) "
    "WITH ORDINALITY AS own (tenant_id, start, number, time, source, id, n)"
)
# The few (meter, resource, dimensions) that were measured, and what each event adds to which; decimals come as texts.
_SLOTS = (
    "unnest($17::uuid[], $18::uuid[], $19::text[], $20::text[], $21::text[]) WITH ORDINALITY "
    "AS slot (meter_id, cell, resource, dimensions, kind, slot)"
)
_PARTS = "unnest($22::bigint[], $23::bigint[], $24::text[]::numeric[]) AS part (n, slot, value)"
_HALF = 2**31
"""What is taken off the 32 bits of an identity for the way: integers add up sooner than anything wider."""


def _statement(*, with_extremes: bool) -> str:
    names: tuple[str, ...] = _TOTALS
    source = f"{_PARTS} JOIN {_OWN} USING (n)"
    folds = ["count(*)", f"sum(own.number) + count(*) * {_HALF}", "sum(part.value)"]
    if with_extremes:
        names += _EXTREMES
        source = f"{_PARTS} JOIN {_OWN_IN_TIME} USING (n) JOIN {_SLOTS} USING (slot)"
        of = "FILTER (WHERE slot.kind = '{}')".format
        latest = 'ORDER BY own.time DESC, own.source COLLATE "C" DESC, own.id COLLATE "C" DESC'
        folds[2] += f" {of('sum')}"
        folds += [f"{name}(part.value) {of(name)}" for name in ("min", "max")]
        folds += [
            f"(array_agg({name} {latest}) {of('last')})[1]"
            for name in ("part.value", "own.time", "own.source", "own.id")
        ]
    folded = ", ".join(f'{fold} AS "{name}"' for fold, name in zip(folds, names, strict=True))
    columns = ", ".join(f'"{name}"' for name in names)
    return (
        "WITH held AS MATERIALIZED (SELECT version FROM catalog_version WHERE id = 1 FOR SHARE), "
        f"kept AS (INSERT INTO events ({_NAMES}) SELECT sent.*, $1::bigint FROM unnest({_SENT}) AS sent "
        "WHERE (SELECT version FROM held) = $1 RETURNING 1), "
        f"folded AS (SELECT own.tenant_id, own.start, part.slot, {folded} FROM {source} GROUP BY 1, 2, 3), "
        f"added AS (INSERT INTO buckets (tenant_id, meter_id, start, cell, resource, dimensions, {columns}) "
        f"SELECT tenant_id, meter_id, start, cell, resource, dimensions, {columns} "
        f"FROM folded JOIN {_SLOTS} USING (slot) WHERE (SELECT count(*) FROM kept) > 0 ORDER BY 1, 2, 3, 4 "
        f"{merging(names)}) {_ANSWER}"
    )


_TOTALS_STATEMENT = _statement(with_extremes=False)
_FULL_STATEMENT = _statement(with_extremes=True)


def keep_and_count(
    database: Database, judged: Sequence[Judged], received_at: Sequence[datetime], *, version: int
) -> Answer | None:
    """Inserts the events and adds what was measured of them to their buckets: all of it, or nothing where the catalog's
    version is another. They are acceptable, distinct by key, and in key order. None, and nothing was done, where one of
    them was kept since `find_known`."""
    slots: dict[tuple[bytes, str, str, str], int] = {}
    owners: list[int] = []
    taken: list[int] = []
    values: list[Decimal | None] = []
    for n, item in enumerate(judged, 1):
        resource = item.event.resource
        for meter, part in item.measured:
            owners.append(n)
            taken.append(
                slots.setdefault((meter.bucket_name, resource, part.dimensions, meter.kept_as), len(slots) + 1)
            )
            values.append(part.value if isinstance(part.value, Decimal) else None)
    statement = _FULL_STATEMENT if any(kind not in _TOTALS for _, _, _, kind in slots) else _TOTALS_STATEMENT
    numbers = unpack(">" + "12xI" * len(judged), b"".join([item.identity for item in judged]))
    parameters: tuple[Packed | int, ...] = (
        version, *event_store.packed(judged, received_at),
        packed_arrays.moments([item.moment - item.moment % HOUR_MICROSECONDS for item in judged]),
        packed_arrays.small_numbers([number - _HALF for number in numbers]),
        packed_arrays.ids([meter_id for meter_id, _, _, _ in slots]),
        packed_arrays.ids([cell_of(resource, dimensions) for _, resource, dimensions, _ in slots]),
        packed_arrays.texts([resource for _, resource, _, _ in slots]),
        packed_arrays.texts([dimensions for _, _, dimensions, _ in slots]),
        packed_arrays.texts([kind for _, _, _, kind in slots]),
        packed_arrays.whole_numbers(owners), packed_arrays.whole_numbers(taken), packed_arrays.decimals(values),
    )  # fmt: skip
    try:
        ((stood, copies_open),) = database.ask(statement, parameters)
    except psycopg.errors.UniqueViolation:
        return None
    return Answer(stood, copies_open)
