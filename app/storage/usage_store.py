"""Buckets: what new events add, and what lies in a window."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.aggregation import Bucket, BucketKey, Fold, Last
from app.domain.events import microseconds
from app.domain.ids import name_of
from app.domain.meters import Aggregation, Kept, Meter
from app.domain.periods import Period, hour_at, hour_floor
from app.storage import packed_arrays
from app.storage.tables import buckets
from app.storage.types import ExactDecimal, decimal_text, instant_from_microseconds

_COLUMNS = (
    "tenant_id", "meter_id", "start", "cell", "resource", "dimensions", "count", "identity_sum", "sum", "min", "max",
    "last_value", "last_at", "last_source", "last_id",
)  # fmt: skip
_PG_TYPES = (
    "uuid", "uuid", "timestamptz", "uuid", "text", "text", "bigint", "bigint", "numeric", "numeric", "numeric",
    "numeric", "timestamptz", "text", "text",
)  # fmt: skip


def _parameter(kind: str) -> str:
    """An array; of decimals, as texts that the server makes numbers of."""
    return "%b::text[]::numeric[]" if kind == "numeric" else f"%b::{kind}[]"


def merging(
    columns: Sequence[str], *, add: str = "{0} + {1}", smaller: str = "least({0}, {1})",
    larger: str = "greatest({0}, {1})",
) -> str:  # fmt: skip
    """What becomes of these columns where the bucket is there already."""
    later = (
        "buckets.last_at IS NULL OR (excluded.last_at, excluded.last_source, excluded.last_id) "
        "> (buckets.last_at, buckets.last_source, buckets.last_id)"
    )
    ways = {"count": "{0} + {1}", "identity_sum": "{0} + {1}", "sum": add, "min": smaller, "max": larger}
    latest = f"CASE WHEN {later} THEN {{1}} ELSE {{0}} END"
    changes = [
        f'"{name}" = ' + ways.get(name, latest).format(f'buckets."{name}"', f'excluded."{name}"') for name in columns
    ]
    return f"ON CONFLICT (tenant_id, meter_id, start, cell) DO UPDATE SET {', '.join(changes)}"


_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)
_FOLDED = _COLUMNS[6:]
_UPSERT_PG = (
    f"INSERT INTO buckets ({_NAMES}) SELECT * FROM unnest({', '.join(map(_parameter, _PG_TYPES))}) {merging(_FOLDED)}"
)
_UPSERT_SQLITE = f"INSERT INTO buckets ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))}) " + merging(
    _FOLDED, add="exact_add({0}, {1})", smaller="exact_min({0}, {1})", larger="exact_max({0}, {1})"
)


def add(connection: Connection, additions: Iterable[Bucket]) -> None:
    """Merges each into the stored bucket of its key. To be called last in a transaction: the keys are taken in sorted
    order, so that transactions which meet in the same buckets wait for each other and never deadlock."""
    ordered = sorted(additions, key=_order)
    if not ordered:
        return
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_UPSERT_SQLITE, [_sqlite_values(bucket) for bucket in ordered])
    else:
        connection.exec_driver_sql(_UPSERT_PG, _packed(ordered))


def _packed(rows: Sequence[Bucket]) -> tuple[packed_arrays.Packed, ...]:
    """The columns in the order of _COLUMNS."""
    keys, folds = [row.key for row in rows], [row.fold for row in rows]
    lasts = [fold.last for fold in folds]
    return (
        packed_arrays.ids([key.tenant_id.bytes for key in keys]),
        packed_arrays.ids([key.meter_id.bytes for key in keys]),
        packed_arrays.instants([key.start for key in keys]), packed_arrays.ids([key.cell for key in keys]),
        packed_arrays.texts([row.resource for row in rows]), packed_arrays.texts([row.dimensions for row in rows]),
        packed_arrays.whole_numbers([fold.count for fold in folds]),
        packed_arrays.whole_numbers([fold.identity_sum for fold in folds]),
        packed_arrays.decimals([fold.sum for fold in folds]), packed_arrays.decimals([fold.min for fold in folds]),
        packed_arrays.decimals([fold.max for fold in folds]),
        packed_arrays.decimals([None if last is None else last.value for last in lasts]),
        packed_arrays.instants([None if last is None else last.at for last in lasts]),
        packed_arrays.texts([None if last is None else last.source for last in lasts]),
        packed_arrays.texts([None if last is None else last.id for last in lasts]),
    )  # fmt: skip


def _order(bucket: Bucket) -> tuple[int, int, datetime, bytes]:
    return _place(bucket.key)


def _place(key: BucketKey) -> tuple[int, int, datetime, bytes]:
    return key.tenant_id.int, key.meter_id.int, key.start, key.cell


def _values(bucket: Bucket) -> tuple[Any, ...]:
    """The row, as the columns' own types take it."""
    key, fold = bucket.key, bucket.fold
    last = fold.last
    latest = (None, None, None, None) if last is None else (last.value, last.at, last.source, last.id)
    return (
        key.tenant_id, key.meter_id, key.start, key.cell, bucket.resource, bucket.dimensions, fold.count,
        fold.identity_sum, fold.sum, fold.min, fold.max, *latest,
    )  # fmt: skip


def _sqlite_values(bucket: Bucket) -> tuple[Any, ...]:
    """The row in SQLite's own forms."""
    key, fold, last = bucket.key, bucket.fold, bucket.fold.last
    own = (
        key.tenant_id.bytes, key.meter_id.bytes, microseconds(key.start), key.cell, bucket.resource, bucket.dimensions,
        fold.count, fold.identity_sum, _text(fold.sum), _text(fold.min), _text(fold.max),
    )  # fmt: skip
    if last is None:
        return (*own, None, None, None, None)
    return (*own, _text(last.value), microseconds(last.at), last.source, last.id)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else decimal_text(value)


def replace(connection: Connection, key: BucketKey, bucket: Bucket | None) -> None:
    """The stored bucket of the key is exactly this one; none where it is None. Its row was locked before.

    The row is changed, not exchanged: whoever waits for its lock would get none on a row that is gone.
    """
    if bucket is None:
        connection.execute(buckets.delete().where(*_is(key)))
        return
    values = dict(zip(_COLUMNS, _values(bucket), strict=True))
    if not connection.execute(buckets.update().where(*_is(key)).values(values)).rowcount:
        add(connection, [bucket])


def lock(connection: Connection, keys: Sequence[BucketKey]) -> None:
    """Locks the rows of these keys, in order, until the transaction ends."""
    for key in sorted(keys, key=_place):
        connection.execute(sa.select(buckets.c.count).where(*_is(key)).with_for_update())


def _is(key: BucketKey) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        buckets.c.tenant_id == key.tenant_id, buckets.c.meter_id == key.meter_id, buckets.c.start == key.start,
        buckets.c.cell == key.cell,
    )  # fmt: skip


def in_window(
    connection: Connection, *, meter_id: UUID, start: datetime, end: datetime,
    tenant_ids: Sequence[UUID] | None = None, resource: str | None = None,
) -> Iterator[Bucket]:  # fmt: skip
    """The meter's buckets that start in [start, end), by key; of all tenants where none is named."""
    if tenant_ids is not None and len(tenant_ids) == 1 and resource is None:
        yield from _of_one(connection, meter_id, tenant_ids[0], start, end)
        return
    query = sa.select(buckets).where(buckets.c.meter_id == meter_id, buckets.c.start >= start, buckets.c.start < end)
    if tenant_ids is not None:
        query = query.where(buckets.c.tenant_id.in_(tenant_ids))
    if resource is not None:
        query = query.where(buckets.c.resource == resource)
    query = query.order_by(buckets.c.tenant_id, buckets.c.start, buckets.c.cell)
    for row in connection.execute(query.execution_options(yield_per=2000)).mappings():
        yield _bucket(row)


# Billing reads the hours of one tenant and meter by the million. Typed column by column, a row takes four times as long
# as it is read.
_ONE_COLUMNS = (
    "start", "cell", "resource", "dimensions", "count", "identity_sum", "sum", "min", "max", "last_value", "last_at",
    "last_source", "last_id",
)  # fmt: skip
_ONE = (
    "SELECT " + ", ".join(f'"{name}"' for name in _ONE_COLUMNS) + " FROM buckets WHERE tenant_id = {0} "
    "AND meter_id = {0} AND start >= {0} AND start < {0} ORDER BY start, cell"
)
_ONE_SQLITE, _ONE_PG = _ONE.format("?"), _ONE.format("%s")


def _of_one(
    connection: Connection, meter_id: UUID, tenant_id: UUID, start: datetime, end: datetime
) -> Iterator[Bucket]:
    if connection.dialect.name == "sqlite":
        asked: tuple[Any, ...] = (tenant_id.bytes, meter_id.bytes, microseconds(start), microseconds(end))
        rows = connection.exec_driver_sql(_ONE_SQLITE, asked)
        hour: Callable[[Any], datetime] = hour_at
        name: Callable[[Any], bytes] = bytes
        number: Callable[[Any], Decimal] = Decimal
        instant: Callable[[Any], datetime] = instant_from_microseconds
    else:
        rows = connection.exec_driver_sql(_ONE_PG, (tenant_id, meter_id, start, end))
        hour, name, number, instant = _in_utc, _bytes_of, _same, _in_utc
    for at, cell, resource, dimensions, count, identity_sum, total, least, most, value, last_at, source, id in rows:
        last = None if last_at is None else Last(instant(last_at), source, id, number(value))
        fold = Fold(
            count, identity_sum, None if total is None else number(total), None if least is None else number(least),
            None if most is None else number(most), last,
        )  # fmt: skip
        yield Bucket(BucketKey(tenant_id, meter_id, hour(at), name(cell)), resource, dimensions, fold)


@lru_cache(maxsize=8192)
def _in_utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


def _bytes_of(cell: UUID) -> bytes:
    return cell.bytes


def _same(number: Decimal) -> Decimal:
    return number


Hour = tuple[int, int, int, Decimal | None]
"""Of one bucket: the number of its hour since 1970, count, identity sum, and sum."""
_OF_HOURS = (
    "SELECT meter_id, {hour}, count, identity_sum, sum FROM buckets WHERE tenant_id = {0} AND meter_id {among}"
    " AND start >= {0} AND start < {0}"
)
_OF_HOURS_PG = _OF_HOURS.format("%s", hour="(extract(epoch FROM start) / 3600)::bigint", among="= ANY(%s)")


def hours_of(
    connection: Connection, *, tenant_id: UUID, meter_ids: Sequence[UUID], start: datetime, end: datetime
) -> dict[UUID, list[Hour]]:
    """What the tenant's buckets of these meters that start in [start, end) add up from, by meter, in no order."""
    found: dict[UUID, list[Hour]] = {meter_id: [] for meter_id in meter_ids}
    if connection.dialect.name != "sqlite":
        for meter_id, *hour in _raw(connection, _OF_HOURS_PG, (tenant_id, list(meter_ids), start, end)):
            found[meter_id].append(tuple(hour))
        return found
    among = f"IN ({', '.join('?' * len(meter_ids))})"
    statement = _OF_HOURS.format("?", hour="start / 3600000000", among=among)
    asked = (name_of(tenant_id), *map(name_of, meter_ids), microseconds(start), microseconds(end))
    by_name = {name_of(meter_id): rows for meter_id, rows in found.items()}
    for name, number, count, identity_sum, total in _raw(connection, statement, asked):
        by_name[name].append((number, count, identity_sum, None if total is None else Decimal(total)))
    return found


def _raw(connection: Connection, statement: str, asked: tuple[Any, ...]) -> list[Any]:
    """The rows as the driver has them."""
    with connection.exec_driver_sql(statement, asked) as result:
        assert result.cursor is not None
        return list(result.cursor.fetchall())


SUMMED: frozenset[Aggregation] = frozenset({"count", "sum", "avg", "min", "max"})
"""The aggregations whose stored hours `folds` can merge without making a bucket of each."""


def folds(
    connection: Connection, meter: Meter, *, tenant_ids: Sequence[UUID], start: datetime, end: datetime
) -> dict[UUID, Fold]:
    """By tenant, all buckets of the meter that start in [start, end) merged, as far as its aggregation asks for; a
    tenant without any is left out."""
    part = None if meter.kept_as == "count" else buckets.c[meter.kept_as]
    within = (
        buckets.c.meter_id == meter.meter_id, buckets.c.tenant_id.in_(tenant_ids), buckets.c.start >= start,
        buckets.c.start < end,
    )  # fmt: skip
    aggregated = [sa.func.sum(buckets.c.count), sa.func.sum(buckets.c.identity_sum)]
    if part is not None:
        # What SQLite itself adds up it adds as floats, and compares as text.
        prefix = "exact_all_" if connection.dialect.name == "sqlite" else ""
        aggregated.append(getattr(sa.func, prefix + meter.kept_as)(part, type_=ExactDecimal))
    query = sa.select(buckets.c.tenant_id, *aggregated).where(*within).group_by(buckets.c.tenant_id)
    return {
        tenant_id: _partial(meter.kept_as, int(count), int(identities), value[0] if value else None)
        for tenant_id, count, identities, *value in connection.execute(query)
    }


def _partial(kept_as: Kept, count: int, identity_sum: int, value: Decimal | None) -> Fold:
    fold = Fold(count, identity_sum)
    if kept_as != "count":
        setattr(fold, kept_as, value)
    return fold


def latest(
    connection: Connection, *, meter_id: UUID, before: datetime, tenant_ids: Sequence[UUID] | None = None,
    resource: str | None = None,
) -> list[Bucket]:  # fmt: skip
    """Of each tenant and cell the last of the meter's buckets that start before the instant."""
    place = sa.func.row_number().over(
        partition_by=(buckets.c.tenant_id, buckets.c.cell), order_by=buckets.c.start.desc()
    )  # fmt: skip
    own = sa.select(buckets, place.label("place")).where(buckets.c.meter_id == meter_id, buckets.c.start < before)
    if tenant_ids is not None:
        own = own.where(buckets.c.tenant_id.in_(tenant_ids))
    if resource is not None:
        own = own.where(buckets.c.resource == resource)
    ranked = own.subquery()
    query = sa.select(ranked).where(ranked.c.place == 1).order_by(ranked.c.tenant_id, ranked.c.cell)
    return [_bucket(row) for row in connection.execute(query).mappings()]


def of_tenant(connection: Connection, *, tenant_id: UUID, meter_id: UUID) -> Iterator[Bucket]:
    """All of one tenant's buckets of the meter, by key."""
    query = sa.select(buckets).where(buckets.c.tenant_id == tenant_id, buckets.c.meter_id == meter_id)
    for row in connection.execute(query.order_by(buckets.c.start, buckets.c.cell)).mappings():
        yield _bucket(row)


def resources_used(
    connection: Connection, *, tenant_id: UUID, meter_id: UUID, start: datetime, end: datetime
) -> set[str]:
    """The resources of the tenant's use in the hours that begin in [start, end); '' where events named none."""
    query = sa.select(buckets.c.resource).where(
        buckets.c.tenant_id == tenant_id, buckets.c.meter_id == meter_id, buckets.c.start >= start,
        buckets.c.start < end, buckets.c.count > 0,
    )  # fmt: skip
    return set(connection.execute(query.distinct()).scalars())


def totals(
    connection: Connection, *, tenant_id: UUID, meter_id: UUID, start: datetime, end: datetime
) -> tuple[int, int]:
    """Count and identity sum of all buckets that start in [start, end)."""
    query = sa.select(
        sa.func.coalesce(sa.func.sum(buckets.c.count), 0), sa.func.coalesce(sa.func.sum(buckets.c.identity_sum), 0)
    )
    query = query.where(
        buckets.c.tenant_id == tenant_id,
        buckets.c.meter_id == meter_id,
        buckets.c.start >= start,
        buckets.c.start < end,
    )
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


Range = tuple[UUID, UUID, datetime, datetime]
"""A tenant, a meter's revision, and [start, end) by the starts of its buckets."""

_MOST_RANGES = 500
_OF_RANGES = (
    "WITH wanted(place, tenant_id, meter_id, first, last) AS (VALUES {}) SELECT place, sum(count), sum(identity_sum)"
    # SQLite seeks each range in the table's own order then, and does not look through the table for the ranges.
    " FROM wanted CROSS JOIN buckets USING (tenant_id, meter_id) WHERE start >= first AND start < last GROUP BY place"
)
_BETWEEN_EDGES = sa.text(
    "SELECT tenant_id, meter_id, width_bucket(start, CAST(:edges AS timestamptz[])), sum(count), sum(identity_sum)"
    " FROM buckets WHERE tenant_id = ANY(CAST(:tenant_ids AS uuid[])) AND meter_id = ANY(CAST(:meter_ids AS uuid[]))"
    " AND start >= :first AND start < :last GROUP BY 1, 2, 3"
)


def totals_of_ranges(connection: Connection, ranges: Sequence[Range]) -> list[tuple[int, int]]:
    """For each range count and identity sum of its buckets, as `totals` gives them, in as few statements as may be."""
    if not ranges:
        return []
    asked = _of_ranges if connection.dialect.name == "sqlite" else _between_edges
    return asked(connection, ranges)


def _of_ranges(connection: Connection, ranges: Sequence[Range]) -> list[tuple[int, int]]:
    found = [(0, 0)] * len(ranges)
    for begin in range(0, len(ranges), _MOST_RANGES):
        values: list[Any] = []
        chunk = ranges[begin : begin + _MOST_RANGES]
        for place, (tenant_id, meter_id, start, end) in enumerate(chunk, begin):
            values += (place, name_of(tenant_id), name_of(meter_id), microseconds(start), microseconds(end))
        statement = _OF_RANGES.format(", ".join(["(?, ?, ?, ?, ?)"] * len(chunk)))
        for place, count, identity_sum in connection.exec_driver_sql(statement, tuple(values)):
            found[place] = (count, identity_sum)
    return found


def _between_edges(connection: Connection, ranges: Sequence[Range]) -> list[tuple[int, int]]:
    edges = sorted({edge for *_, start, end in ranges for edge in (start, end)})
    rows = connection.execute(
        _BETWEEN_EDGES,
        {
            "tenant_ids": sorted({tenant_id for tenant_id, *_ in ranges}),
            "meter_ids": sorted({meter_id for _, meter_id, *_ in ranges}), "edges": edges, "first": edges[0],
            "last": edges[-1],
        },
    )  # fmt: skip
    parts: dict[tuple[UUID, UUID, int], tuple[int, int]] = {tuple(row[:3]): (int(row[3]), int(row[4])) for row in rows}
    places = {edge: place for place, edge in enumerate(edges, 1)}
    found: list[tuple[int, int]] = []
    for tenant_id, meter_id, start, end in ranges:
        within = range(places[start], places[end])
        own = [parts[key] for place in within if (key := (tenant_id, meter_id, place)) in parts]
        found.append((sum(count for count, _ in own), sum(identity_sum for _, identity_sum in own)))
    return found


def by_hour(
    connection: Connection, *, tenant_id: UUID, meter_id: UUID, start: datetime, end: datetime
) -> dict[datetime, tuple[int, int]]:
    """Count and identity sum of the buckets that start in [start, end), by hour."""
    query = sa.select(buckets.c.start, sa.func.sum(buckets.c.count), sa.func.sum(buckets.c.identity_sum)).where(
        buckets.c.tenant_id == tenant_id, buckets.c.meter_id == meter_id, buckets.c.start >= start,
        buckets.c.start < end,
    )  # fmt: skip
    return {row[0]: (int(row[1]), int(row[2])) for row in connection.execute(query.group_by(buckets.c.start))}


def dimensions_in(connection: Connection, *, tenant_id: UUID, meter_id: UUID, period: Period) -> list[str]:
    """Every combination of dimensions that was used in the hours of the period."""
    query = sa.select(buckets.c.dimensions).distinct()
    query = query.where(
        buckets.c.tenant_id == tenant_id, buckets.c.meter_id == meter_id, buckets.c.start >= hour_floor(period.start),
        buckets.c.start < period.end,
    )  # fmt: skip
    return list(connection.execute(query).scalars())


def spans(connection: Connection, meter_ids: Sequence[UUID]) -> list[tuple[UUID, UUID, datetime, datetime]]:
    """(tenant, meter, first bucket's start, last bucket's start) of every tenant that used one of the meters."""
    query = sa.select(
        buckets.c.tenant_id, buckets.c.meter_id, sa.func.min(buckets.c.start), sa.func.max(buckets.c.start)
    ).where(buckets.c.meter_id.in_(meter_ids))
    rows = connection.execute(query.group_by(buckets.c.tenant_id, buckets.c.meter_id))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def delete_meter(connection: Connection, meter_id: UUID) -> None:
    connection.execute(buckets.delete().where(buckets.c.meter_id == meter_id))


def _bucket(row: RowMapping) -> Bucket:
    last = None
    if row["last_at"] is not None:
        last = Last(row["last_at"], row["last_source"], row["last_id"], row["last_value"])
    fold = Fold(row["count"], row["identity_sum"], row["sum"], row["min"], row["max"], last)
    key = BucketKey(row["tenant_id"], row["meter_id"], row["start"], row["cell"])
    return Bucket(key, row["resource"], row["dimensions"], fold)
