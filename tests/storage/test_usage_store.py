"""Buckets merge in the database as they merge in Python: exactly, in any order, whatever parts they have."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from functools import partial, reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.aggregation import Bucket, BucketKey, Fold, Last, cell_of, merge
from app.domain.events import EARLIEST
from app.domain.ids import new_id
from app.storage import usage_store
from app.storage.database import Database

# What an event may carry at most: 38 digits, 18 of them decimals, below 10^20; exponents are fine.
values = st.one_of(
    st.integers(-(10**38) + 1, 10**38 - 1).map(lambda digits: Decimal(f"{digits}E-18")),
    st.sampled_from(["0", "-0", "1E+19", "1E-18", "9", "10", "0.10", "1.5E+3"]).map(Decimal),
)
times = st.integers(0, 4_000_000_000_000_000).map(lambda number: EARLIEST + timedelta(microseconds=number))
names = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
lasts = st.builds(Last, times, names, names, values)
numbers = st.integers(1, 2**31), st.integers(0, 2**62)


def folds(aggregation: str) -> st.SearchStrategy[Fold]:
    """What events of one meter add: a count, and the one part that its aggregation asks for."""
    parts: dict[str, Any] = {"sum": values, "min": values, "max": values, "last": lasts}
    part = {aggregation: parts[aggregation]} if aggregation in parts else {}
    return st.builds(Fold, count=numbers[0], identity_sum=numbers[1].map(lambda number: number // 20), **part)


def test_folds_added_one_by_one_are_the_fold_of_all(database: Database) -> None:
    """Two hours of each of five meters get up to six additions, each in a transaction of its own."""
    start = EARLIEST + timedelta(hours=100)

    @given(st.data())
    @settings(max_examples=25)
    def agrees(data: st.DataObject) -> None:
        tenant_id = new_id()
        expected: dict[BucketKey, list[Fold]] = {}
        additions: list[Bucket] = []
        for aggregation in ("count", "sum", "min", "max", "last"):
            meter_id = new_id()
            for hour in range(2):
                key = BucketKey(tenant_id, meter_id, start + timedelta(hours=hour), cell_of("", aggregation))
                expected[key] = data.draw(st.lists(folds(aggregation), max_size=6))
                additions += [Bucket(key, "", aggregation, fold) for fold in expected[key]]
        rounds: dict[int, list[Bucket]] = {}
        for bucket in data.draw(st.permutations(additions)):
            # One statement may touch a bucket once: its second addition belongs to the next transaction.
            turn = next(n for n in range(6) if bucket.key not in {item.key for item in rounds.get(n, [])})
            rounds.setdefault(turn, []).append(bucket)
        for batch in rounds.values():
            database.write(lambda connection: usage_store.add(connection, batch))  # noqa: B023

        for key, parts in expected.items():
            stored = database.read(
                lambda connection: list(usage_store.of_tenant(connection, tenant_id=tenant_id, meter_id=key.meter_id))  # noqa: B023
            )
            found = {bucket.key: bucket.fold for bucket in stored}
            assert found.get(key) == (reduce(merge, parts) if parts else None)

    agrees()


def test_ranges_asked_for_together_have_the_totals_that_each_has_alone(database: Database) -> None:
    """Buckets of two meters of two tenants in twenty hours; ranges that adjoin, overlap, lie inside one another or are
    empty."""
    start = EARLIEST + timedelta(hours=100)
    tenant_ids, meter_ids = [new_id(), new_id()], [new_id(), new_id()]
    hours = st.integers(0, 20)
    owners = st.sampled_from(tenant_ids), st.sampled_from(meter_ids)
    ranges = st.lists(st.tuples(*owners, hours, hours), min_size=1, max_size=12)
    buckets = [
        Bucket(
            BucketKey(tenant_id, meter_id, start + timedelta(hours=hour), cell_of("", dimension)), "", dimension,
            Fold(count=hour + 1, identity_sum=2**40 + hour + tenant_id.int % 1000),
        )
        for tenant_id in tenant_ids
        for meter_id in meter_ids
        for hour in range(20)
        for dimension in ("a", "b")
    ]  # fmt: skip
    database.write(lambda connection: usage_store.add(connection, buckets))

    @given(ranges)
    @settings(max_examples=30)
    def agrees(drawn: list[tuple[Any, Any, int, int]]) -> None:
        asked = [
            (tenant_id, meter_id, start + timedelta(hours=min(pair)), start + timedelta(hours=max(pair)))
            for tenant_id, meter_id, *pair in drawn
        ]

        found = database.read(lambda connection: usage_store.totals_of_ranges(connection, asked))

        alone = [partial(usage_store.totals, tenant_id=t, meter_id=m, start=a, end=b) for t, m, a, b in asked]
        assert found == [database.read(ask) for ask in alone]

    agrees()
