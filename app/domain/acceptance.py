"""What becomes of one event, as the catalog stands?

A known subject, a meter that names the event's type, a known resource and values that every such meter can measure:
then it is accepted, with its contributions. Otherwise it is set aside with the first reason that holds, in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec

from app.domain.aggregation import Bucket, BucketKey, cell_of, fold_of, identity_number
from app.domain.events import QuarantineReason, UsageEvent, content_digest, identity_of, time_problem
from app.domain.ids import NOBODY
from app.domain.meters import Measured, Meter, Unmeasurable, measure
from app.domain.periods import hour_floor


class Catalog(Protocol):
    """What judging needs to know of the catalog."""

    @property
    def version(self) -> int: ...
    @property
    def meters(self) -> Mapping[str, Sequence[Meter]]: ...
    def tenant_of(self, subject: str, at: datetime) -> UUID: ...
    def knows_resource(self, key: str) -> bool: ...


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """An event that is malformed: nothing of it is kept. `pointer` is relative to the event, such as "/time"."""

    id: str | None
    pointer: str
    detail: str


class Judged(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An event with its tenant (NOBODY where unknown), and either its contributions or why it is set aside."""

    event: UsageEvent
    tenant_id: UUID
    identity: bytes
    digest: bytes
    at: datetime
    contributions: tuple[Bucket, ...] = ()
    reason: QuarantineReason | None = None
    detail: str = ""


def judge(
    event: UsageEvent, catalog: Catalog, *, received_at: datetime, now: datetime, future: timedelta,
    bound_to: UUID | None = None,
) -> Judged | Rejected:  # fmt: skip
    """What the catalog says to the event. A key bound to a tenant may post for that tenant only."""
    at = event.time or received_at
    problem = time_problem(at, now=now, future=future)
    if problem is not None:
        return Rejected(event.id, "/time", problem)
    if not event.subject and bound_to is None:
        return Rejected(event.id, "/subject", "subject is missing: it names who used the resource")
    tenant_id = catalog.tenant_of(event.subject, at) if event.subject else bound_to
    assert tenant_id is not None
    if bound_to is not None and tenant_id != bound_to:
        return Rejected(event.id, "/subject", "this API key may post for its own tenant only")
    identity, digest = identity_of(event.source, event.id), content_digest(event)

    def aside(reason: QuarantineReason, detail: str) -> Judged:
        return Judged(event, tenant_id, identity, digest, at, (), reason, detail)

    if tenant_id == NOBODY:
        return aside("unknown_tenant", f"no tenant claims the subject {event.subject!r}")
    meters = catalog.meters.get(event.type)
    if not meters:
        return aside("unknown_type", f"no meter names the type {event.type!r}")
    if event.resource and not catalog.knows_resource(event.resource):
        return aside("unknown_resource", f"there is no resource {event.resource!r}")
    contributions: list[Bucket] = []
    hour, number = hour_floor(at), identity_number(identity)
    for meter in meters:
        measured = measure(meter, event)
        if isinstance(measured, Measured):
            contributions.append(
                contribution(meter, measured, event, tenant_id=tenant_id, number=number, at=at, hour=hour)
            )
        elif isinstance(measured, Unmeasurable) and meter.newest:
            return aside("unmeasurable", measured.detail)
    return Judged(event, tenant_id, identity, digest, at, tuple(contributions))


def contribution(
    meter: Meter, measured: Measured, event: UsageEvent, *, tenant_id: UUID, number: int, at: datetime,
    hour: datetime,
) -> Bucket:  # fmt: skip
    """The bucket of one event that happened `at`: what it adds to its `hour`. `number` is its identity's."""
    cell = cell_of(event.resource, measured.dimensions)
    fold = fold_of(meter.aggregation, measured, event, at=at, number=number)
    return Bucket(BucketKey(tenant_id, meter.meter_id, hour, cell), event.resource, measured.dimensions, fold)
