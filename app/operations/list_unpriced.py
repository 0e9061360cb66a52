"""Usage of known tenants that no charge prices: metered, billed to nobody, and therefore listed.

So is, of a price by dimensions without a default, the use that none of its cells fits; its entries name the dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.charge_models import ChargeModel, Matrix, matrix
from app.domain.events import instant_text, parse_json
from app.domain.meters import Meter
from app.domain.money import plain
from app.domain.periods import Period, gaps
from app.domain.subscriptions import Subscription, terms_in_force
from app.operations.measure_parts import cell_of
from app.operations.read_usage import HOUR, UTC_ZONE, Use, gather, pieces, zones_of
from app.storage import catalog_store, meter_store, subscription_store, tenant_store, usage_store

_FAR = datetime(9999, 1, 1, tzinfo=UTC)
_MOST_GROUPS = 100
"""More cells without a price than these are listed as one."""


@dataclass(frozen=True, slots=True)
class _Priced:
    """When a charge prices a meter: all of its use, or what the cells of `cells` fit."""

    stretch: Period
    cells: Matrix | None


def list_unpriced(connection: Connection, *, through: datetime, tenants: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """One entry per tenant, meter and unbroken stretch before `through` with use that nothing prices."""
    meters = {meter.meter_id: meter for meter in meter_store.load(connection, states=("active",))}
    keys = {item.tenant_id: item.key for item in tenant_store.all_tenants(connection)}
    coverage = _coverage(connection)
    entries: list[dict[str, Any]] = []
    for tenant_id, meter_id, first, last in sorted(usage_store.spans(connection, list(meters))):
        meter, end = meters[meter_id], min(last + HOUR, through)
        if tenants and keys[tenant_id] not in tenants:
            continue
        if first < end:
            priced = coverage.get((tenant_id, meter.key), [])
            whole = [item.stretch for item in priced if item.cells is None]
            for gap in gaps(Period(first, end), whole):
                for stretch, cells in _by_matrix(gap, priced):
                    entries += _entries(connection, meter, tenant_id, keys[tenant_id], stretch, cells)
    return entries


def _by_matrix(gap: Period, priced: Sequence[_Priced]) -> Iterator[tuple[Period, tuple[Matrix, ...]]]:
    """The parts of a gap in which the same matrices price some of the use, in order."""
    partial = [item for item in priced if item.cells is not None]
    borders = {at for item in partial for at in (item.stretch.start, item.stretch.end) if gap.start < at < gap.end}
    instants = [gap.start, *sorted(borders), gap.end]
    for start, end in pairwise(instants):
        yield (
            Period(start, end),
            tuple(item.cells for item in partial if item.cells and item.stretch.start <= start < item.stretch.end),
        )


def _coverage(connection: Connection) -> dict[tuple[UUID, str], list[_Priced]]:
    """When which meter of which tenant is priced, in order of time."""
    found: dict[tuple[UUID, str], list[_Priced]] = {}
    versions: dict[str, Any] = {}
    for item in subscription_store.all_subscriptions(connection):
        for plan in item.plans - versions.keys():
            versions[plan] = catalog_store.plan_versions(connection, plan)
        for meter, priced in _priced(item, versions):
            found.setdefault((item.tenant_id, meter), []).append(priced)
    return {key: sorted(priced, key=lambda item: item.stretch.start) for key, priced in found.items()}


def _priced(item: Subscription, versions: Any) -> list[tuple[str, _Priced]]:
    return [
        (charge.meter, _Priced(stretch, _partial(charge.model)))
        for phase in item.phases
        for stretch, _, terms in terms_in_force(
            Period(phase.start, phase.end or _FAR), versions[phase.plan], phase.pinned_version, phase.overrides
        )
        for charge in terms.charges
        if charge.meter is not None
    ]


def _partial(model: ChargeModel) -> Matrix | None:
    """The model, where it may leave some of the use without a price."""
    return model if isinstance(model, Matrix) and model.default_unit_price is None else None


def _entries(
    connection: Connection, meter: Meter, tenant_id: UUID, tenant: str, stretch: Period, matrices: tuple[Matrix, ...]
) -> list[dict[str, Any]]:
    """What none of the matrices prices; by the dimensions that they name, where there are any."""
    names = sorted({name for item in matrices for name in matrix.dimensions_of(item)})
    finders = [matrix.cell_finder(item) for item in matrices]
    if matrices:
        found = usage_store.dimensions_in(connection, tenant_id=tenant_id, meter_id=meter.meter_id, period=stretch)
        if all(any(find(dimensions) for find in finders) for dimensions in found):
            return []
    zones = zones_of(connection, meter, [tenant_id])
    uses = gather(
        pieces(connection, meter, stretch, tenant_ids=[tenant_id], zones=zones),
        lambda piece: (
            None if any(find(piece.bucket.dimensions) for find in finders) else cell_of(piece.bucket.dimensions, names)
        ),
        meter=meter,
        zones=zones,
    )
    left = {
        cell: use for cell, use in uses.items() if cell is not None and (use.fold.count or use.amount or use.present())
    }
    if len(left) > _MOST_GROUPS:
        left = {"{}": _together(left.values())}
    zone = zones.get(tenant_id, UTC_ZONE)
    return [
        {
            "tenant": tenant, "meter": meter.key,
            "quantity": plain(left[cell].quantity(meter, stretch, zone=zone)), "unit": meter.unit,
            "events": left[cell].fold.count, "start": instant_text(stretch.start), "end": instant_text(stretch.end),
        } | ({"group": parse_json(cell)} if cell != "{}" else {})
        for cell in sorted(left)
    ]  # fmt: skip


def _together(uses: Iterable[Use]) -> Use:
    whole = Use()
    for use in uses:
        whole.absorb(use)
    return whole
