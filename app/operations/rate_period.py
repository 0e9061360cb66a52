"""Gather and rate one charge over one stretch: what closing, preview and correction share.

The trace of a rated charge holds all that the line was computed from: terms, measured quantity with the count and the
sum of event identities of each hour, the steps of the pipeline and its result. Rating the trace again gives the same
line, and the events behind it can be told from those that came later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.aggregation import EMPTY
from app.domain.charge_models import MeasuredUsage, Need, TotalNeeded, keep_component, need_of, read_component
from app.domain.errors import CannotBill, CatchingUp
from app.domain.events import instant_text, microseconds, parse_instant
from app.domain.invoices import BY_HAND, InvoiceLine
from app.domain.kept_meters import keep_conversion, keep_rounding, read_conversion, read_rounding
from app.domain.kept_terms import keep_terms, read_terms
from app.domain.meters import Meter
from app.domain.money import ZERO, plain
from app.domain.periods import HOUR_MICROSECONDS, Period, hour_floor, local_date, share_used
from app.domain.plans import PlanCharge, PlanTerms
from app.domain.projections import Basis, LineProjection, basis_of, projected, share_elapsed
from app.domain.rating.inputs import inputs_of
from app.domain.rating.lines import Allowance, RatedLine, RatingTerms, Step
from app.domain.rating.pipeline import rate
from app.domain.rating.results import Result
from app.domain.subscriptions import Phase
from app.operations.measure_parts import NO_PARTS, MeasuredParts, parts_needed
from app.operations.read_usage import HOUR, Hours, Use, adds_up, interval_of, pieces, reach_of
from app.storage import meter_store, usage_store


@dataclass(frozen=True, slots=True)
class Reach:
    """What came from before a stretch, of a meter that looks back.

    `before` has count and identity sum of all events that might have a part in it (None where that is not known),
    `carried` the identities of those that have. `sessions` are those that were still open at the end, and those that
    were cut.
    """

    before: tuple[int, int] | None
    carried: tuple[bytes, ...]
    sessions: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Measurement:
    """A meter's quantity over a stretch, and which events it came from: how many, and the sum of their identities, in
    all and by hour (the hour's number from the stretch's first, the count, the sum). `days` are the quantities of the
    local days, of a meter that adds up over time: documents draw them."""

    total: Decimal
    count: int = 0
    identity_sum: int = 0
    hours: tuple[tuple[int, int, int], ...] = ()
    parts: MeasuredParts = NO_PARTS
    reach: Reach | None = None
    days: tuple[tuple[date, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Billable:
    """One charge over one stretch of a billing period, with the plan version in force there.

    `full` are the local dates between which the billing period would lie if nothing cut it short. `phase` is the part
    of the subscription that the period lies in: a line holds while its phase does.
    """

    stretch: Period
    plan: str
    version: int
    terms: PlanTerms
    charge: PlanCharge
    full: tuple[date, date]
    known: Mapping[datetime, date]
    zone: ZoneInfo
    phase: Phase


@dataclass(frozen=True, slots=True)
class RatedCharge:
    rated: RatedLine
    trace: dict[str, Any]
    unit: str


def meters_by_key(connection: Connection) -> dict[str, Meter]:
    """The meters that answer reads, by key."""
    return {meter.key: meter for meter in meter_store.load(connection, states=("active",))}


def measure_stretch(
    connection: Connection, meter: Meter, *, tenant_id: UUID, stretch: Period, need: Need, zone: ZoneInfo,
    from_events: bool = False, until: datetime | None = None, hours: Hours | None = None,
) -> Measurement:  # fmt: skip
    """What the tenant used in the stretch, exactly, as the database stands, and in the parts that its price needs.

    Intervals of the calendar are those of the zone; what accrues does so up to `until`. `hours` are those of the tenant
    and of this meter and others, where several are measured.
    """
    if is_by_hours(meter, need) and not from_events:
        return _added_up(meter, (hours or Hours(connection, tenant_id, [meter])).of(meter, stretch), stretch, zone)
    measured = stretch if until is None or not stretch.start < until < stretch.end else Period(stretch.start, until)
    parts = parts_needed(need, meter=meter, stretch=measured, zone=zone)
    # Before the events are read: one that comes in between is then noticed later, and changes nothing.
    before = None if from_events or not meter.looks_back else totals_before(connection, meter, tenant_id, stretch.start)
    use = Use(fold=EMPTY)
    by_hour: dict[int, tuple[int, int]] = {}
    sums: dict[int, Decimal] = {}
    is_by_day = adds_up(meter)
    carried: set[bytes] = set()
    first = hour_floor(stretch.start)
    found = pieces(
        connection, meter, stretch, cuts=parts.cuts, tenant_ids=[tenant_id],
        from_events=from_events or parts.from_events, zones={tenant_id: zone}, until=until,
        window_of=parts.window_of,
    )  # fmt: skip
    for piece in found:
        interval = interval_of(meter, piece, {tenant_id: zone})
        use.add(piece, interval)
        if piece.carried:
            carried.add(piece.identity)
        if not piece.carried or meter.operation:
            parts.add(piece, interval)
        fold = piece.bucket.fold
        if fold.count:
            hour = (piece.bucket.key.start - first) // HOUR
            count, identity_sum = by_hour.get(hour, (0, 0))
            by_hour[hour] = (count + fold.count, identity_sum + fold.identity_sum)
            if is_by_day and fold.sum is not None:
                sums[hour] = sums.get(hour, ZERO) + fold.sum
    reach = Reach(before, tuple(sorted(carried)), (use.sessions_open, use.sessions_cut)) if meter.looks_back else None
    total = use.quantity(meter, measured, zone=zone)
    days = _by_day(first, sums, by_hour, zone) if is_by_day else ()
    return Measurement(
        total, use.fold.count, use.fold.identity_sum, _in_order(by_hour), parts.measured(meter), reach, days
    )


def is_by_hours(meter: Meter, need: Need) -> bool:
    """True where sums of hours are all that the price needs."""
    return adds_up(meter) and isinstance(need, TotalNeeded)


def _added_up(meter: Meter, hours: Iterable[usage_store.Hour], stretch: Period, zone: ZoneInfo) -> Measurement:
    start = hour_floor(stretch.start)
    first = microseconds(start) // HOUR_MICROSECONDS
    by_hour: dict[int, tuple[int, int]] = {}
    sums: dict[int, Decimal] = {}
    total, total_count, total_identities = ZERO, 0, 0
    for number, count, identity_sum, quantity in hours:
        hour = number - first
        total_count += count
        total_identities += identity_sum
        if quantity is not None:
            total += quantity
        if count:
            known = by_hour.get(hour)
            by_hour[hour] = (count, identity_sum) if known is None else (known[0] + count, known[1] + identity_sum)
            if quantity is not None:
                sums[hour] = quantity if known is None else sums.get(hour, ZERO) + quantity
    if meter.aggregation == "count":
        total = Decimal(total_count)
    days = _by_day(start, sums, by_hour, zone)
    return Measurement(total, total_count, total_identities, _in_order(by_hour), days=days)


def _in_order(by_hour: Mapping[int, tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    return tuple((hour, *by_hour[hour]) for hour in sorted(by_hour))


def _by_day(
    first: datetime, sums: Mapping[int, Decimal], by_hour: Mapping[int, tuple[int, int]], zone: ZoneInfo
) -> tuple[tuple[date, Decimal], ...]:
    """The sums of the local days in which the hours begin, or the counts where nothing is summed; `first` is hour 0."""
    hours = sums or {hour: Decimal(count) for hour, (count, _) in by_hour.items()}
    dates = _dates(first, max(hours, default=-1) + 1, zone)
    days: dict[date, Decimal] = {}
    for hour, quantity in hours.items():
        day = dates[hour]
        days[day] = days[day] + quantity if day in days else quantity
    return tuple(sorted(days.items()))


@lru_cache(maxsize=256)
def _dates(first: datetime, number: int, zone: ZoneInfo) -> tuple[date, ...]:
    """The local days in which so many hours begin."""
    return tuple(local_date(first + hour * HOUR, zone) for hour in range(number))


def totals_before(connection: Connection, meter: Meter, tenant_id: UUID, start: datetime) -> tuple[int, int]:
    """Count and identity sum of the events before `start` that may have a part in what is measured from there on; of
    whole hours."""
    return usage_store.totals(
        connection, tenant_id=tenant_id, meter_id=meter.meter_id, start=hour_floor(reach_of(meter, start)),
        end=hour_floor(start),
    )  # fmt: skip


def rate_billable(
    connection: Connection, billable: Billable, *, tenant_id: UUID, meters: Mapping[str, Meter],
    until: datetime | None = None, hours: Hours | None = None,
) -> RatedCharge:  # fmt: skip
    """The charge rated over what was used up to now, or to `until`. Raises CatchingUp while its meter is built. `hours`
    are of all charges that are rated with it."""
    charge = billable.charge
    meter, measurement = None, Measurement(Decimal(1))
    if charge.meter is not None:
        meter = meters.get(charge.meter)
        if meter is None:
            raise CatchingUp(f"The meter {charge.meter} is still being built; try again in a moment.")
        measurement = measure_stretch(
            connection, meter, tenant_id=tenant_id, stretch=billable.stretch, need=need_of(charge.model),
            zone=billable.zone, until=until, hours=hours,
        )  # fmt: skip
    return rate_gathered(billable, meter, measurement)


def hours_for(
    connection: Connection, billables: Iterable[Billable], *, tenant_id: UUID, meters: Mapping[str, Meter]
) -> Hours:
    """The hours of all that the charges measure hour by hour."""
    found = ((meters.get(item.charge.meter or ""), need_of(item.charge.model)) for item in billables)
    return Hours(connection, tenant_id, [meter for meter, need in found if meter and is_by_hours(meter, need)])


def rate_gathered(billable: Billable, meter: Meter | None, measurement: Measurement) -> RatedCharge:
    """The charge rated over what was gathered of it, with its trace; no database involved."""
    charge = billable.charge
    used, full = share_used(
        billable.stretch, full=billable.full, zone=billable.zone, unit=billable.terms.proration, known=billable.known
    )
    trace: dict[str, Any] = {
        "plan": billable.plan,
        "version": billable.version,
        "terms": _KEPT_TERMS.of(billable.terms, charge),
        "stretch": [_text_of(billable.stretch.start), _text_of(billable.stretch.end)],
        "full_dates": [billable.full[0].isoformat(), billable.full[1].isoformat()],
        "known_dates": {_text_of(at): day.isoformat() for at, day in sorted(billable.known.items())},
        "zone": billable.zone.key,
        "used": used,
        "full": full,
        "since": _text_of(billable.phase.start),
        "in_trial": billable.phase.in_trial,
        "meter": None if meter is None else _meter_to_trace(meter),
        "rounding": None if meter is None else keep_rounding(meter.rounding),
        "convert": None if meter is None else keep_conversion(meter.conversion),
    }
    terms = RatingTerms(
        charge, billable.terms.currency, used, full, None if meter is None else meter.rounding,
        None if meter is None else meter.conversion, billable.phase.in_trial, **inputs_of(trace),
    )  # fmt: skip
    return _rated(trace, measurement, terms)


_text_of = lru_cache(maxsize=1024)(instant_text)


class _KeptTerms:
    """The terms of one charge as traces keep them. A close rates thousands of subscriptions by one plan: what it says
    is written down once. Nobody changes a trace, so that many may have the same terms."""

    _MOST = 1024

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], tuple[PlanTerms, PlanCharge, dict[str, Any]]] = {}

    def of(self, terms: PlanTerms, charge: PlanCharge) -> dict[str, Any]:
        # By identity, which is quicker than to compare: the objects are kept, so that no others can be at their places.
        found = self._found.get((id(terms), id(charge)))
        if found is None:
            if len(self._found) >= self._MOST:
                self._found = {}
            found = (terms, charge, keep_terms(replace(terms, charges=(charge,))))
            self._found[id(terms), id(charge)] = found
        return found[2]


_KEPT_TERMS = _KeptTerms()


def _meter_to_trace(meter: Meter) -> dict[str, Any]:
    kept = {"key": meter.key, "meter_id": meter.meter_id.hex, "unit": meter.billed_unit}
    return kept | {"unit_code": meter.billed_unit_code} if meter.billed_unit_code else kept


def rate_again(
    connection: Connection, trace: dict[str, Any], *, tenant_id: UUID, start: datetime, end: datetime,
    meters: Mapping[str, Meter],
) -> RatedCharge:  # fmt: skip
    """The charge of a line rated anew: by the terms that the line recorded, over what was used up to now.

    The line's stretch is cut where the subscription has ended since; `start` and `end` are one where nothing is left.
    """
    trace = {name: value for name, value in trace.items() if name not in BY_HAND}
    if start == end:
        measurement = Measurement(Decimal(1) if trace["meter"] is None else ZERO)
        return _rated(trace | {"stretch": [instant_text(start), instant_text(end)], "used": 0}, measurement)
    stretch = Period(start, end)
    measurement = remeasure(connection, trace, tenant_id=tenant_id, stretch=stretch, meters=meters)
    terms = read_terms(trace["terms"])
    full = (date.fromisoformat(trace["full_dates"][0]), date.fromisoformat(trace["full_dates"][1]))
    known = {parse_instant(at): date.fromisoformat(day) for at, day in trace["known_dates"].items()}
    used, whole = share_used(stretch, full=full, zone=ZoneInfo(trace["zone"]), unit=terms.proration, known=known)
    renewed = trace | {
        "stretch": [instant_text(start), instant_text(end)], "used": used, "full": whole,
    }  # fmt: skip
    return _rated(renewed, measurement)


def remeasure(
    connection: Connection, trace: dict[str, Any], *, tenant_id: UUID, stretch: Period, meters: Mapping[str, Meter]
) -> Measurement:
    """What the recorded revision of the meter measures now; from the events where its buckets are gone."""
    if trace["meter"] is None:
        return Measurement(Decimal(1))
    meter_id = UUID(trace["meter"]["meter_id"])
    need, zone = need_of(read_terms(trace["terms"]).charges[0].model), ZoneInfo(trace["zone"])
    active = meters.get(trace["meter"]["key"])
    if active is not None and active.meter_id == meter_id:
        return measure_stretch(connection, active, tenant_id=tenant_id, stretch=stretch, need=need, zone=zone)
    found = meter_store.find(connection, meter_id)
    if found is None:
        raise CannotBill(f"The meter {trace['meter']['key']} that an issued line names is gone.")
    return measure_stretch(
        connection, found[0], tenant_id=tenant_id, stretch=stretch, need=need, zone=zone, from_events=True
    )


def rate_trace(trace: Mapping[str, Any]) -> RatedLine:
    """The line that a trace describes: the pipeline over what it recorded, no database involved."""
    terms, usage, _ = read_trace(trace)
    return rate(terms, usage)


def read_trace(trace: Mapping[str, Any]) -> tuple[RatingTerms, MeasuredUsage, str]:
    """What a trace says that was rated, by which terms, and in what shares of a period are counted: day or second."""
    return terms_of(trace), usage_of(trace["usage"]), trace["terms"]["proration"]


def terms_of(trace: Mapping[str, Any]) -> RatingTerms:
    """The terms that a trace records, whatever was measured."""
    return RatingTerms(
        read_terms(trace["terms"]).charges[0], trace["terms"]["currency"], trace["used"], trace["full"],
        read_rounding(trace["rounding"]), read_conversion(trace.get("convert")), trace.get("in_trial", False),
        **inputs_of(trace),
    )  # fmt: skip


def usage_of(kept: Mapping[str, Any]) -> MeasuredUsage:
    """What was measured, read back from a trace; one that was kept before there were parts has none."""
    return MeasuredUsage(
        Decimal(kept["total"]), kept["count"],
        cells=tuple((cell, Decimal(quantity)) for cell, quantity in kept.get("cells", ())),
        slots=tuple((rate, Decimal(quantity)) for rate, quantity in kept.get("slots", ())),
        amounts=tuple((Decimal(amount), times) for amount, times in kept.get("amounts", ())),
    )  # fmt: skip


def projected_line(
    line: InvoiceLine, meters: Mapping[str, Meter], *, now: datetime
) -> tuple[InvoiceLine, LineProjection]:
    """The line by the use that its whole stretch would have, if that went on as it has until now; and how it was taken.
    Its trace stays that of what was measured."""
    trace = line.trace
    if line.kind != "charge" or trace["meter"] is None:
        basis: Basis = "fixed" if line.kind == "charge" else "correction"
        return line, LineProjection(line.id, basis, line.quantity, line.quantity, 0, 0)
    elapsed, whole = share_elapsed(line.period, now)
    meter = meters[trace["meter"]["key"]]
    basis = basis_of(meter.aggregation, elapsed=elapsed, whole=whole)
    if basis != "extrapolated":
        return line, LineProjection(line.id, basis, line.quantity, line.quantity, elapsed, whole)
    terms, usage, _ = read_trace(trace)
    rated = rate(terms, projected(usage, elapsed=elapsed, whole=whole))
    made = replace(
        line, quantity=rated.quantity, amount=rated.amount, components=rated.components, allowances=rated.allowances
    )
    return made, LineProjection(line.id, basis, line.quantity, rated.quantity, elapsed, whole)


def _kept_parts(parts: MeasuredParts) -> dict[str, Any]:
    """The parts that there are: [cell or number of the rate, quantity], or [amount, how many in a row]."""
    kept = {
        "cells": [[cell, plain(quantity)] for cell, quantity in parts.cells],
        "slots": [[rate, plain(quantity)] for rate, quantity in parts.slots],
        "amounts": [[plain(amount), times] for amount, times in parts.amounts],
    }
    return {name: rows for name, rows in kept.items() if rows}


def _rated(trace: dict[str, Any], measurement: Measurement, terms: RatingTerms | None = None) -> RatedCharge:
    usage: dict[str, Any] = {
        "total": plain(measurement.total), "count": measurement.count, "identity_sum": measurement.identity_sum,
        "hours": [list(item) for item in measurement.hours],
    } | _kept_parts(measurement.parts)  # fmt: skip
    if measurement.days:
        usage["days"] = {day.isoformat(): plain(quantity) for day, quantity in measurement.days}
    if measurement.reach is not None:
        usage |= _reach_to_trace(measurement.reach)
    return rate_measured(trace | {"usage": usage}, terms)


def rate_measured(measured: dict[str, Any], terms: RatingTerms | None = None) -> RatedCharge:
    """The charge rated from a trace that holds what was measured, with the steps and the result recorded. `terms` are
    those that the trace records, where they are at hand and need not be read."""
    line = rate(terms or terms_of(measured), usage_of(measured["usage"]))
    recorded = measured | {"steps": _kept_steps(line.steps), "rated": rated_to_trace(line)}
    return RatedCharge(line, recorded, "" if measured["meter"] is None else measured["meter"]["unit"])


def _kept_steps(steps: Sequence[Step]) -> list[list[str | None]]:
    """[stage, quantity, amount] of each; a stage that changed neither repeats the texts of the one before."""
    kept: list[list[str | None]] = []
    before: Step | None = None
    for step in steps:
        if before is not None and step.quantity is before.quantity and step.amount is before.amount:
            kept.append([step.stage, *kept[-1][1:]])
        else:
            kept.append([step.stage, plain(step.quantity), None if step.amount is None else plain(step.amount)])
        before = step
    return kept


def _reach_to_trace(reach: Reach) -> dict[str, Any]:
    return {
        "before": None if reach.before is None else list(reach.before),
        "carried": [identity.hex() for identity in reach.carried],
        "sessions": {"open": reach.sessions[0], "cut": reach.sessions[1]},
    }


def rated_to_trace(line: RatedLine) -> dict[str, Any]:
    """A rating's result as the trace keeps it."""
    return result_to_trace(Result(line.quantity, line.components, line.allowances, line.amount))


def result_to_trace(result: Result) -> dict[str, Any]:
    """The same as a trace keeps it."""
    return {
        "quantity": plain(result.quantity),
        "components": [keep_component(item) for item in result.components],
        "allowances": [[item.description, plain(item.amount)] for item in result.allowances],
        "amount": plain(result.amount),
    }


def result_of(trace: Mapping[str, Any]) -> Result:
    """What a charge came to by the document with this trace: what its line was rated to, less what a credit by hand
    opened again."""
    rated = trace.get("standing", trace["rated"])
    return Result(
        Decimal(rated["quantity"]),
        tuple(map(read_component, rated["components"])),
        tuple(Allowance(text, Decimal(amount)) for text, amount in rated["allowances"]),
        Decimal(rated["amount"]),
    )
