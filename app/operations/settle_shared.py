"""What the charges of a plan have in common: shared allowances, prepaid units, the plan's minimum, maximum and
commitment, coupons. Shared by closing, preview and correction.

Every stretch of a subscription is settled in order, the billed ones from what stands measured now, so that what a
period leaves (units that roll over, what a term has come to, prepaid units) is what it would have left had it been
billed right from the start. The result goes into each charge's trace as plain numbers: rating stays a function of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection

from app.documents import wording
from app.domain.allowances import PoolState, PoolUse, opening, take
from app.domain.charge_models import Flat, prorate
from app.domain.charge_models.usage import TotalNeeded
from app.domain.coupons import AppliedCoupon, reduction
from app.domain.credit import Grant, burn_order
from app.domain.events import instant_text, parse_instant
from app.domain.ids import parse_public_id, public_id
from app.domain.invoices import BY_HAND, Invoice, InvoiceLine, units_drawn
from app.domain.kept_terms import keep_terms, read_terms
from app.domain.marks import shares
from app.domain.meters import apply_rounding, convert
from app.domain.money import ZERO, split_pro_rata
from app.domain.periods import Period
from app.domain.plan_totals import TRUE_UP, PlanTotals, overage
from app.domain.plans import PlanCharge, PlanTerms
from app.domain.rating.inputs import given_of, inputs_to_trace, without_inputs
from app.domain.rating.lines import Allowance, Given
from app.domain.subscriptions import Subscription
from app.operations.billed_charges import BilledCharge
from app.operations.billing_books import Books, tax_of
from app.operations.rate_period import RatedCharge, measure_stretch, rate_measured, rate_trace
from app.storage import coupon_store, credit_store

Trace = dict[str, Any]
Again = tuple[BilledCharge, RatedCharge | None]
"""A billed charge, and its rating over what stands measured now (None: as it was)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The lines that are due now, every billed charge as it should stand, and what periods that were billed owe that no
    line of them has: a minimum that late changes have called up. `pools` are the allowances that were used for that."""

    lines: list[InvoiceLine]
    again: list[Again]
    late: list[InvoiceLine]
    pools: list[PoolUse]


@dataclass
class _Member:
    """One charge of one stretch while its group is settled. `trace` is the charge's alone until it is rated again."""

    trace: Trace
    charge: PlanCharge
    billed: BilledCharge | None = None
    line: InvoiceLine | None = None
    given: list[Given] = field(default_factory=list)
    taken_off: list[Allowance] = field(default_factory=list)
    coupons: list[str] = field(default_factory=list)
    totals: PlanTotals | None = None
    amount: Decimal = ZERO

    @property
    def start(self) -> datetime:
        return parse_instant(self.trace["stretch"][0])

    @property
    def end(self) -> datetime:
        return parse_instant(self.trace["stretch"][1])

    @property
    def document(self) -> UUID | None:
        """The document that billed it first; None for the one that is being made."""
        return None if self.billed is None else self.billed.documents[0].place.invoice_id

    def rated(self) -> RatedCharge:
        """The charge with all that was given to it and taken off it."""
        more: Trace = inputs_to_trace(self.given, self.taken_off, self.totals)
        if self.coupons:
            more["coupons"] = self.coupons
        drawn = _drawn(self.given, () if self.billed is None else given_of(self.billed.last.trace))
        if drawn:
            more["drawn"] = drawn
        return rate_measured(self.trace | more)


def _drawn(now: Iterable[Given], before: Iterable[Given]) -> list[list[str]]:
    """What the line draws from each grant of prepaid units beyond what was drawn before: negative where it returns."""
    sums: dict[str, Decimal] = {}
    for sign, items in ((1, now), (-1, before)):
        for item in items:
            if item.kind == "prepaid":
                sums[item.name] = sums.get(item.name, ZERO) + sign * item.quantity
    return [[name, format(amount, "f")] for name, amount in sums.items() if amount]


@dataclass
class _Group:
    """The charges of one plan version in one billing period, in the plan's order."""

    plan: str
    terms: PlanTerms
    period: date
    members: list[_Member]
    true_up: _Member | None = None

    @property
    def start(self) -> datetime:
        return min(member.start for member in self.members)

    @property
    def end(self) -> datetime:
        return max(member.end for member in self.members)

    @property
    def all(self) -> list[_Member]:
        return self.members + ([] if self.true_up is None else [self.true_up])


def settle_shared(
    connection: Connection, books: Books, again: Sequence[Again], lines: Sequence[InvoiceLine], *,
    earlier: Callable[[], Iterable[InvoiceLine]], settled_until: datetime | None, at: datetime,
) -> Settled:  # fmt: skip
    """The lines of the instant `at`, and the billed charges, with what they have in common settled. `earlier` are the
    lines of open instants before that one, `settled_until` is the last that is closed."""
    work = _Work(connection, books, settled_until, at)
    traces = [item.last.trace for item, _ in again] + [line.trace for line in lines]
    if not work.is_needed(traces):
        return Settled(list(lines), list(again), [], [])
    before = [replace(_of_line(line), line=None) for line in earlier()]
    groups = _groups([*(_of_billed(*one) for one in again), *before, *map(_of_line, lines)])
    for group in groups:
        work.settle(group)
    work.apply_coupons(groups)
    return work.result(groups, again, lines)


def may_share(connection: Connection, subscription: Subscription, terms: PlanTerms) -> bool:
    """False where each charge of the terms comes to what it comes to alone, whatever was billed before."""
    if terms.pools or terms.has_totals:
        return True
    tenant_id = subscription.tenant_id
    applied = coupon_store.of_subscription(connection, tenant_id, subscription.subscription_id)
    return any(one.is_open for one in applied) or bool(credit_store.open_grants(connection, tenant_id, "units"))


def _of_billed(billed: BilledCharge, rated: RatedCharge | None) -> _Member:
    trace = billed.last.trace if rated is None else rated.trace
    return _Member(_alone(trace), read_terms(trace["terms"]).charges[0], billed=billed)


def _of_line(line: InvoiceLine) -> _Member:
    return _Member(_alone(line.trace), read_terms(line.trace["terms"]).charges[0], line=line)


def _alone(trace: Trace) -> Trace:
    return {name: value for name, value in without_inputs(trace).items() if name not in ("coupons", "drawn", *BY_HAND)}


def _groups(members: Iterable[_Member]) -> list[_Group]:
    found: dict[tuple[Any, ...], _Group] = {}
    true_ups: dict[tuple[Any, ...], _Member] = {}
    for member in members:
        trace = member.trace
        if trace.get("in_trial"):
            continue  # nothing is due in a trial, so nothing is given either
        key = (trace["full_dates"][0], trace["plan"], trace["version"])
        if member.charge.key == TRUE_UP and "plan_totals" in (member.billed.last.trace if member.billed else {}):
            true_ups[key] = member
            continue
        group = found.setdefault(
            key, _Group(trace["plan"], read_terms(trace["terms"]), date.fromisoformat(trace["full_dates"][0]), [])
        )  # fmt: skip
        group.members.append(member)
    for key, group in found.items():
        group.members.sort(key=_place_in_plan)
        group.true_up = true_ups.get(key)
    return sorted(found.values(), key=lambda group: (group.start, group.end))


def _place_in_plan(member: _Member) -> tuple[int, int]:
    """Charges of one document stand in it in the plan's order; those due in advance were billed before."""
    if member.billed is None:
        return (1, 0)
    document, line = member.billed.documents[0], member.billed.first
    return (0, (document.ordinal or 0) * 100_000 + int(line.id.removeprefix("ln_")))


class _Work:
    """What is left of everything that charges share, as the groups are settled one after the other."""

    def __init__(self, connection: Connection, books: Books, settled_until: datetime | None, at: datetime) -> None:
        self._connection, self._books, self._settled_until, self._at = connection, books, settled_until, at
        subscription = books.subscription
        self._tenant_id = subscription.tenant_id
        self._pools: dict[str, PoolState] = {}
        self._pool_uses: list[PoolUse] = []
        drawn = units_drawn(books.beside)
        self._grants = {
            one.grant_id: replace(one, left=one.left - drawn.get(one.grant_id, ZERO))
            for one in credit_store.open_grants(connection, self._tenant_id, "units")
        }
        self._applied = coupon_store.of_subscription(connection, self._tenant_id, subscription.subscription_id)
        self._periods: list[tuple[str, date]] = []
        self._term: tuple[str, int, Decimal] = ("", 0, ZERO)

    def is_needed(self, traces: Sequence[Trace]) -> bool:
        if self._grants or any(one.is_open for one in self._applied):
            return True
        return any(shares(trace) for trace in traces)

    # --- one group ---

    def settle(self, group: _Group) -> None:
        self._give_units(group)
        for member in group.members:
            member.amount = rate_trace(member.trace | inputs_to_trace(member.given)).amount
        if group.terms.has_totals and self._is_closed(group):
            self._settle_totals(group)

    def _is_closed(self, group: _Group) -> bool:
        is_billed = self._settled_until is not None and group.end <= self._settled_until
        return is_billed or group.end <= self._at

    def _give_units(self, group: _Group) -> None:
        wanted = {id(member): self._to_price(member) for member in group.members if member.charge.meter is not None}
        by_key: dict[str, list[_Member]] = {}
        for member in group.members:
            by_key.setdefault(member.charge.key, []).append(member)
        states = self._pools
        self._pools = {}
        for name, allowance in group.terms.pools:
            state = opening(allowance, states.get(name), group.period)
            total, given = state.left, dict.fromkeys(allowance.charges, ZERO)
            for member in (one for key in allowance.charges for one in by_key.get(key, ())):
                state, taken = take(state, wanted.get(id(member), ZERO))
                if taken:
                    member.given.append(Given("allowance", allowance.key, taken))
                    wanted[id(member)] -= taken
                    given[member.charge.key] += taken
            self._pools[name] = state
            self._pool_uses.append(PoolUse(Period(group.start, group.end), total, given))
        self._give_coupon_units(group, wanted)
        self._give_prepaid(group, wanted)

    def _to_price(self, member: _Member) -> Decimal:
        """What the charge's own allowance leaves; nothing where use is negative."""
        steps = {step.stage: step.quantity for step in rate_trace(member.trace).steps}
        return max(steps["deduct_allowance"], ZERO)

    def _give_coupon_units(self, group: _Group, wanted: dict[int, Decimal]) -> None:
        for member in group.members:
            for applied in self._coupons_of(member):
                if applied.coupon.quantity is None or not applied.coupon.concerns(member.charge.key):
                    continue
                used = sum(
                    (
                        one.quantity
                        for other in group.members
                        for one in other.given
                        if (one.kind, one.name) == ("coupon", applied.coupon.key)
                    ),
                    ZERO,
                )
                taken = min(applied.coupon.quantity - used, wanted.get(id(member), ZERO))
                if taken > 0:
                    member.given.append(Given("coupon", applied.coupon.key, taken))
                    member.coupons.append(applied.application_id.hex)
                    wanted[id(member)] -= taken

    def _give_prepaid(self, group: _Group, wanted: dict[int, Decimal]) -> None:
        first_of_meter: dict[str, str] = {}
        for member in group.members:
            if member.charge.meter is not None:
                first_of_meter.setdefault(member.charge.meter, member.charge.key)
        for member in group.members:
            need = wanted.get(id(member), ZERO)
            before = [] if member.billed is None else [
                one for one in given_of(member.billed.last.trace) if one.kind == "prepaid"
            ]  # fmt: skip
            need = self._keep(member, before, need)
            for grant in burn_order(self._grants.values()):
                meter = member.charge.meter
                if grant.meter != meter or (grant.charge or first_of_meter.get(meter)) != member.charge.key:
                    continue
                taken = min(need, grant.left, self._limit(member, grant))
                if taken > 0:
                    member.given.append(Given("prepaid", _grant_name(grant), taken))
                    self._grants[grant.grant_id] = replace(grant, left=grant.left - taken)
                    need -= taken

    def _keep(self, member: _Member, before: Sequence[Given], need: Decimal) -> Decimal:
        """Leaves the charge what it drew before as far as it is still needed, the grant drawn first first; the rest is
        there for others. How much is needed beyond that."""
        for one in before:
            kept = min(one.quantity, need)
            if kept > 0:
                member.given.append(replace(one, quantity=kept))
                need -= kept
            key = parse_public_id("cg", one.name)
            if key is not None and key[1] in self._grants and kept < one.quantity:
                grant = self._grants[key[1]]
                self._grants[key[1]] = replace(grant, left=grant.left + one.quantity - kept)
        return need

    def _limit(self, member: _Member, grant: Grant) -> Decimal:
        """How much of the charge's use fell within the grant's time, less what was drawn within that already."""
        start, end = member.start, member.end
        window = _window(grant, start, end)
        if window is None:
            return ZERO
        if window == (start, end):
            return grant.left
        meter = self._books.meters.get(member.charge.meter or "")
        if meter is None:
            return ZERO
        total = measure_stretch(
            self._connection, meter, tenant_id=self._tenant_id, stretch=Period(*window), need=TotalNeeded(),
            zone=self._books.zone,
        ).total  # fmt: skip
        used = total if meter.conversion is None else convert(meter.conversion, total)
        used = used if meter.rounding is None else apply_rounding(meter.rounding, used)
        for one in member.given:
            other = self._grants.get((parse_public_id("cg", one.name) or (None, None))[1] or grant.grant_id)
            inner = None if other is None or one.kind != "prepaid" else _window(other, start, end)
            if inner is not None and window[0] <= inner[0] and inner[1] <= window[1]:
                used -= one.quantity
        return max(used, ZERO)

    # --- the plan's minimum, maximum and commitment ---

    def _settle_totals(self, group: _Group) -> None:
        terms = group.terms
        totals = self._totals(group)
        if terms.maximum is not None:
            excess = totals.rated + overage(totals, terms.currency) - terms.maximum
            totals = replace(totals, taken_off=_cap(group, excess, terms.currency))
        self._remember(totals.rated)
        if terms.minimum is None and terms.commitment is None:
            return
        if group.true_up is None:
            group.true_up = _Member(self._true_up_trace(group), _true_up_charge(group))
        group.true_up.trace |= {"used": _widest(group)["used"], "full": _widest(group)["full"]}
        group.true_up.totals = totals
        group.true_up.amount = rate_trace(group.true_up.trace | inputs_to_trace(plan_totals=totals)).amount

    def _totals(self, group: _Group) -> PlanTotals:
        terms, widest = group.terms, _widest(group)
        rated = sum((member.amount for member in group.members), ZERO)

        def share(amount: Decimal | None) -> Decimal | None:
            if amount is None:
                return None
            return prorate(amount, currency=terms.currency, used=widest["used"], full=widest["full"])

        totals = PlanTotals(rated, minimum=share(terms.minimum))
        promised = terms.commitment
        if promised is None:
            return totals
        totals = replace(totals, overage_factor=promised.overage_factor)
        if promised.periods is None:
            return replace(totals, committed=share(promised.amount))
        if (group.plan, group.period) not in self._periods:
            self._periods.append((group.plan, group.period))
        # A term is of one plan: where the subscription changes to another, that one's begins.
        count = sum(plan == group.plan for plan, _ in self._periods)
        term, place = divmod(count - 1, promised.periods)
        before = self._term[2] if self._term[:2] == (group.plan, term) else ZERO
        self._term = (group.plan, term, before)
        subscription_end = self._books.subscription.end
        ends = subscription_end is not None and group.end >= subscription_end
        return replace(
            totals, committed=promised.amount, before=before, settles=ends or place == promised.periods - 1
        )  # fmt: skip

    def _remember(self, rated: Decimal) -> None:
        plan, term, before = self._term
        self._term = (plan, term, before + rated)

    def _true_up_trace(self, group: _Group) -> Trace:
        """The trace of a line that measures nothing, over the whole group."""
        charge = _true_up_charge(group)
        sample = _widest(group)
        return sample | {
            "terms": keep_terms(replace(group.terms, charges=(charge,))),
            "stretch": [instant_text(group.start), instant_text(max(group.end, group.start))],
            "meter": None, "rounding": None, "convert": None,
            "usage": {"total": "1", "count": 0, "identity_sum": 0, "hours": []},
        }  # fmt: skip

    # --- coupons ---

    def _coupons_of(self, member: _Member) -> list[AppliedCoupon]:
        """Those that the charge's invoice has used; for an invoice that is being made, those that are open."""
        if member.billed is not None:
            names = member.billed.last.trace.get("coupons", ())
            return [one for one in self._applied if one.application_id.hex in names]
        return [one for one in self._applied if one.is_open] if member.line is not None else []

    def apply_coupons(self, groups: Sequence[_Group]) -> None:
        """What coupons take off each invoice, after all that its lines came to: a gift lowers what would be owed."""
        by_document: dict[UUID | None, list[_Member]] = {}
        for group in groups:
            for member in group.all:
                document = member.document
                if member.charge.key == TRUE_UP and member.billed is None:
                    document = group.members[-1].document
                by_document.setdefault(document, []).append(member)
        currency = self._books.currency
        for members in by_document.values():
            billed = next((one.billed.documents[0].invoice for one in members if one.billed is not None), None)
            names = {name for one in members if one.billed for name in one.billed.last.trace.get("coupons", ())}
            is_made_now = any(one.line is not None for one in members)
            for applied in self._applied:
                if applied.application_id.hex in names or (is_made_now and applied.is_open):
                    concerned = [one for one in members if applied.coupon.concerns(one.charge.key)]
                    _reduce(concerned, self._own_part(applied, billed), currency)

    def _own_part(self, applied: AppliedCoupon, billed: Invoice | None) -> AppliedCoupon:
        """The coupon less what it takes off the lines that other subscriptions have on the same document: the `billed`
        one, or the one that is being made. Of an issued one, what it could take off no line is the first one's."""
        coupon, own = applied.coupon, self._books.subscription.key
        if coupon.amount is None or applied.subscription_id is not None:
            return applied
        lines = self._books.beside if billed is None else billed.lines
        others = sum((_taken_off(applied, line) for line in lines if line.subscription != own), ZERO)
        left = coupon.amount - others
        if billed is not None and billed.lines[0].subscription != own:
            left = sum((_taken_off(applied, line) for line in billed.lines if line.subscription == own), ZERO)
        return replace(applied, coupon=replace(coupon, amount=left))

    # --- the result ---

    def result(self, groups: Sequence[_Group], again: Sequence[Again], lines: Sequence[InvoiceLine]) -> Settled:
        by_billed = {id(one.billed): one for group in groups for one in group.all if one.billed is not None}
        by_line = {id(one.line): one for group in groups for one in group.all if one.line is not None}
        renewed = [(item, by_billed[id(item)].rated() if id(item) in by_billed else rated) for item, rated in again]
        made = [
            _with_rating(line, by_line[id(line)].rated()) if id(line) in by_line else line for line in lines
        ]  # fmt: skip
        late: list[InvoiceLine] = []
        for group in groups:
            own = group.true_up
            if own is not None and own.billed is None and own.amount:
                is_new = any(one.line is not None for one in group.members)
                is_late = not is_new and any(one.billed is not None for one in group.members)
                if is_new:
                    made.append(self._true_up_line(group, own, kind="charge"))
                elif is_late:
                    late.append(self._true_up_line(group, own, kind="difference"))
        return Settled(made, renewed, late, self._pool_uses)

    def _true_up_line(self, group: _Group, member: _Member, *, kind: str) -> InvoiceLine:
        rated = member.rated()
        stretch = Period(group.start, group.end)
        main = group.members[0].charge
        line = rated.rated
        taxed = tax_of(self._connection, self._books, main, stretch)
        title = wording.true_up(group.terms.commitment is not None, self._books.buyer.language)
        return InvoiceLine(
            id="", charge=TRUE_UP, description=title, period=stretch, quantity=line.quantity,
            unit="", amount=line.amount, tax=taxed.tax,
            components=line.components, allowances=line.allowances, kind=kind,  # type: ignore[arg-type]
            subscription=self._books.subscription.key, trace=rated.trace | {"tax": taxed.trace},
            supply=main.supply or "",
        )  # fmt: skip


def _window(grant: Grant, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    """The part of the stretch in which the grant is in force; None where it is in none."""
    first = start if grant.effective_at is None else max(start, grant.effective_at)
    last = end if grant.expires_at is None else min(end, grant.expires_at)
    return (first, last) if first < last else None


def _grant_name(grant: Grant) -> str:
    return public_id("cg", grant.tenant_id, grant.grant_id)


def _widest(group: _Group) -> Trace:
    return max((member.trace for member in group.members), key=lambda trace: int(trace["used"]))


def _true_up_charge(group: _Group) -> PlanCharge:
    text = "Minimum" if group.terms.commitment is None else "Commitment"
    main = group.members[0].charge
    return PlanCharge(
        TRUE_UP, Flat(ZERO), tax=main.tax, description=text, supply=main.supply, place=main.place
    )  # fmt: skip


def _cap(group: _Group, excess: Decimal, currency: str) -> Decimal:
    """Takes the excess over the plan's maximum off the charges, in proportion: those due in arrears first, since what
    was paid in advance would have to be credited. How much could be taken."""
    taken = ZERO
    for timing in ("arrears", "advance"):
        members = [one for one in group.members if one.charge.timing == timing and one.amount > 0]
        part = min(excess - taken, sum((one.amount for one in members), ZERO))
        if part <= 0:
            continue
        for member, off in zip(
            members, split_pro_rata(part, [one.amount for one in members], currency), strict=True
        ):  # fmt: skip
            if off:
                member.taken_off.append(Allowance("maximum of the plan", off))
                member.amount -= off
        taken += part
    return taken


def _taken_off(applied: AppliedCoupon, line: InvoiceLine) -> Decimal:
    """What the coupon takes off a line that bills its period for the first time."""
    if line.kind != "charge" or applied.application_id.hex not in line.trace.get("coupons", ()):
        return ZERO
    own = (item.amount for item in line.allowances if item.description == _coupon_text(applied))
    return sum(own, ZERO)


def _coupon_text(applied: AppliedCoupon) -> str:
    return f"coupon {applied.coupon.name}"


def _reduce(members: Sequence[_Member], applied: AppliedCoupon, currency: str) -> None:
    parts = reduction(applied.coupon, [one.amount for one in members], currency)
    for member, part in zip(members, parts, strict=True):
        if part:
            member.taken_off.append(Allowance(_coupon_text(applied), part))
            member.amount -= part
            if applied.application_id.hex not in member.coupons:
                member.coupons.append(applied.application_id.hex)


def _with_rating(line: InvoiceLine, rated: RatedCharge) -> InvoiceLine:
    result = rated.rated
    return replace(
        line, quantity=result.quantity, amount=result.amount, components=result.components,
        allowances=result.allowances, trace=rated.trace,
    )  # fmt: skip
