"""Keep and count in one statement of PostgreSQL: a group of events goes there once, and one answer comes back.

    held    the catalog's version, held against changes; nothing is kept where it is not the one judged under
    sent    the events, in key order            kept    those of them that were not there
    part    what the meters measured of them    added   the parts of what was kept, folded by bucket, in key order

The statement is a transaction of its own, so row locks are held while the server works and no longer. What an event
contributes was decided before; SQL only adds and compares exact numbers, as `aggregation.merge` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from struct import unpack
from typing import NamedTuple

from app.domain.acceptance import Judged
from app.domain.aggregation import cell_of
from app.domain.events import HOUR_MICROSECONDS
from app.domain.ids import NOBODY
from app.domain.meters import Kept, Measured
from app.storage import packed_arrays
from app.storage.database import Database
from app.storage.event_store import COLUMNS, SENT_TYPES, packed
from app.storage.usage_store import merging


class Answer(NamedTuple):
    """`version` is the one that stood: where it was another than judged under, nothing was kept. `copies_open` says
    that copies of known tenants lie in quarantine. `repeats` are the positions that were there already, each with the
    digest of what is kept; None where another transaction was just bringing it."""

    version: int
    copies_open: bool
    repeats: dict[int, bytes | None]


_NAMES = ", ".join(f'"{name}"' for name in COLUMNS)
_SENT = ", ".join(f'"{name}"' for name in COLUMNS[:-1])
_HELD = (
    "held AS MATERIALIZED (SELECT version FROM catalog_version WHERE id = 1 FOR SHARE), "
    f"sent AS MATERIALIZED (SELECT * FROM unnest({', '.join(f'%b::{kind}[]' for kind in SENT_TYPES)}, "
    f"%b::timestamptz[], %b::bigint[]) WITH ORDINALITY AS sent ({_SENT}, hour, number, n)), "
    f"kept AS (INSERT INTO events ({_NAMES}) SELECT {_SENT}, held.version FROM sent, held WHERE held.version = %b "
    "ORDER BY n ON CONFLICT (tenant_id, identity) DO NOTHING RETURNING tenant_id, identity), "
    "fresh AS MATERIALIZED (SELECT sent.* FROM sent JOIN kept USING (tenant_id, identity)), "
    "again AS MATERIALIZED (SELECT n, (SELECT events.digest FROM events "
    "WHERE events.tenant_id = sent.tenant_id AND events.identity = sent.identity) AS digest "
    "FROM sent WHERE (SELECT count(*) FROM kept) < %b "
    "AND NOT EXISTS (SELECT FROM kept WHERE kept.tenant_id = sent.tenant_id AND kept.identity = sent.identity))"
)
_ANSWER = (
    "SELECT held.version, "
    f"EXISTS (SELECT FROM quarantine WHERE status = 'open' AND tenant_id <> '{NOBODY}'), "
    "ARRAY(SELECT n FROM again ORDER BY n), ARRAY(SELECT digest FROM again ORDER BY n) FROM held"
)
_KEY = "fresh.tenant_id, part.meter_id, fresh.hour, part.cell, fresh.resource, part.dimensions"
_PLACE = ("tenant_id", "meter_id", "start", "cell", "resource", "dimensions")
_TOTALS = ("count", "identity_sum", "sum")
_EXTREMES = ("min", "max", "last_value", "last_at", "last_source", "last_id")


def _latest(name: str) -> str:
    order = 'fresh.time DESC, fresh.source COLLATE "C" DESC, fresh.id COLLATE "C" DESC'
    return f"(array_agg({name} ORDER BY {order}) FILTER (WHERE kind = 'last'))[1]"


def _statement(*, with_extremes: bool) -> str:
    names = [*_PLACE, *_TOTALS]
    part = "%b::bigint[], %b::uuid[], %b::uuid[], %b::text[], %b::text[]::numeric[]"
    part_names = "n, meter_id, cell, dimensions, value"
    folds = ["count(*)", "sum(fresh.number)::bigint", "sum(part.value)"]
    if with_extremes:
        names += _EXTREMES
        part, part_names = f"{part}, %b::text[]", f"{part_names}, kind"
        folds[2] += " FILTER (WHERE kind = 'sum')"
        folds += [f"{name}(part.value) FILTER (WHERE kind = '{name}')" for name in ("min", "max")]
        folds += [_latest(name) for name in ("part.value", "fresh.time", "fresh.source", "fresh.id")]
    quoted = ", ".join(f'"{name}"' for name in names)
    return (
        f"WITH {_HELD}, part AS (SELECT * FROM unnest({part}) AS part ({part_names})), "
        f"added AS (INSERT INTO buckets ({quoted}) SELECT {_KEY}, {', '.join(folds)} FROM part JOIN fresh USING (n) "
        f"GROUP BY {_KEY} ORDER BY 1, 2, 3, 4 {merging(names[len(_PLACE) :])}) {_ANSWER}"
    )


_TOTALS_STATEMENT = _statement(with_extremes=False)
_FULL_STATEMENT = _statement(with_extremes=True)
_OF_TOTALS: frozenset[Kept] = frozenset({"count", "sum"})


def keep_and_count(
    database: Database, judged: Sequence[Judged], received_at: Sequence[datetime], *, version: int
) -> Answer:
    """Inserts those that were not there and adds what was measured of them to their buckets: all of it, or nothing
    where the catalog's version is another. They are acceptable, distinct by key, and in key order."""
    numbers = unpack(">" + "12xI" * len(judged), b"".join([item.identity for item in judged]))
    hours = packed_arrays.moments([item.moment - item.moment % HOUR_MICROSECONDS for item in judged])
    parts = [(n, item.event.resource, *part) for n, item in enumerate(judged, 1) for part in item.measured]
    parameters = [
        *packed(judged, received_at), hours, packed_arrays.whole_numbers(numbers), version, len(judged),
        packed_arrays.whole_numbers([n for n, _, _, _ in parts]),
        packed_arrays.ids([meter.bucket_name for _, _, meter, _ in parts]),
        packed_arrays.ids([cell_of(resource, measured.dimensions) for _, resource, _, measured in parts]),
        packed_arrays.names([measured.dimensions for _, _, _, measured in parts]),
        packed_arrays.decimals([_number(measured) for _, _, _, measured in parts]),
    ]  # fmt: skip
    kinds = [meter.kept_as for _, _, meter, _ in parts]
    statement = _TOTALS_STATEMENT
    if not _OF_TOTALS.issuperset(kinds):
        statement = _FULL_STATEMENT
        parameters.append(packed_arrays.names(kinds))
    ((stood, copies_open, repeats, digests),) = database.write_by(statement, parameters)
    return Answer(stood, copies_open, {n - 1: digest for n, digest in zip(repeats, digests, strict=True)})


def _number(measured: Measured) -> Decimal | None:
    return measured.value if isinstance(measured.value, Decimal) else None
