"""Credit, allowances and coupons as values: parts sum to the whole, nothing is overdrawn, in whatever order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.allowances import Lot, PoolState, Rollover, SharedAllowance, opening, take
from app.domain.coupons import Coupon, reduction
from app.domain.credit import CreditUse, Draw, Grant, draw, give_back, give_back_promotional, standing, use_promotional
from app.domain.money import split_pro_rata
from app.domain.plan_totals import PlanTotals, plan_components
from app.domain.tax import TaxRate

NOW = datetime(2026, 11, 1, tzinfo=UTC)
cents = st.integers(0, 10**7).map(lambda number: Decimal(number) / 100)
some_cents = st.integers(1, 10**7).map(lambda number: Decimal(number) / 100)


def granted(number: int, amount: Decimal, **more: object) -> Grant:
    return Grant(UUID(int=1), UUID(int=number), "promotional", amount, amount, NOW, "EUR", **more)  # type: ignore[arg-type]


TAXES = (TaxRate("S", Decimal(20)), TaxRate("S", Decimal(10)), TaxRate("Z", Decimal(0)))


@given(st.lists(cents, min_size=1, max_size=12), st.fractions(0, 1))
def test_a_split_sums_to_the_whole_and_no_part_is_above_its_weight(weights: list[Decimal], share: object) -> None:
    whole = sum(weights, Decimal(0))
    total = (whole * Decimal(share.numerator) / Decimal(share.denominator)).quantize(Decimal("0.01"), "ROUND_DOWN")  # type: ignore[attr-defined]

    parts = split_pro_rata(total, weights, "EUR")

    assert sum(parts) == total
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))
    exact = [total * weight / whole if whole else Decimal(0) for weight in weights]
    assert all(abs(part - wanted) < Decimal("0.01") for part, wanted in zip(parts, exact, strict=True))


@given(st.lists(st.tuples(some_cents, st.integers(0, 3), st.integers(0, 400)), max_size=8), cents)
def test_no_grant_is_overdrawn_and_what_can_be_drawn_is(made: list[tuple[Decimal, int, int]], wanted: Decimal) -> None:
    """By priority, then by what expires first."""
    grants = [
        granted(number, amount, priority=priority, expires_at=NOW + timedelta(days=days) if days < 300 else None)
        for number, (amount, priority, days) in enumerate(made, 1)
    ]

    draws = draw(grants, wanted)

    left = {grant.grant_id: grant.left for grant in grants}
    assert all(0 < one.amount <= left[one.grant_id] for one in draws)
    assert sum(one.amount for one in draws) == min(wanted, sum(left.values()))
    by_id = {grant.grant_id: grant for grant in grants}
    order = [(by_id[one.grant_id].priority, by_id[one.grant_id].expires_at or datetime.max.replace(tzinfo=UTC))
             for one in draws]  # fmt: skip
    assert order == sorted(order)


@given(st.lists(some_cents, max_size=5), st.lists(st.tuples(st.sampled_from(TAXES), cents), min_size=1, max_size=3),
       st.lists(st.tuples(st.integers(0, 2), cents), max_size=6))  # fmt: skip
def test_credit_of_an_invoice_comes_back_as_far_as_its_net_no_longer_carries_it(
    amounts: list[Decimal], nets: list[tuple[TaxRate, Decimal]], notes: list[tuple[int, Decimal]]
) -> None:
    """After any number of credit notes the net of each group, less the credit that it still has, is not below 0; and
    when nothing is left of the invoice, all of its credit is back."""
    billed = list(dict(nets).items())
    uses = use_promotional([granted(number, amount) for number, amount in enumerate(amounts, 1)], billed, "EUR")
    assert sum(use.amount for use in uses) == min(sum(amounts, Decimal(0)), sum(net for _, net in billed))
    left = dict(billed)
    credited: list[tuple[TaxRate, Decimal]] = []
    returned: list[CreditUse] = []
    whole = [(number, tax, net) for number, (tax, net) in enumerate(billed)]
    steps = [(billed[index % len(billed)][0], amount) for index, amount in notes] + [
        (tax, net) for _, tax, net in whole
    ]
    for tax, amount in steps:
        amount = min(amount, left[tax])
        left[tax] -= amount
        credited.append((tax, amount))
        back = give_back_promotional(billed, uses, credited, returned)
        assert sum((use.amount for use in back), Decimal(0)) <= amount
        returned += back
        for group, net in left.items():
            kept = sum((u.amount for u in uses if u.tax == group), Decimal(0)) - sum(
                (u.amount for u in returned if u.tax == group), Decimal(0)
            )
            assert 0 <= kept <= net
    assert sum(use.amount for use in returned) == sum(use.amount for use in uses)


@given(st.lists(some_cents, min_size=1, max_size=6), cents)
def test_what_is_given_back_was_drawn_the_last_first(amounts: list[Decimal], wanted: Decimal) -> None:
    draws = [Draw(UUID(int=number), amount) for number, amount in enumerate(amounts, 1)]

    given_back = give_back(draws, wanted)

    assert sum(one.amount for one in given_back) == min(wanted, sum(amounts))
    assert [one.grant_id.int for one in given_back] == sorted((one.grant_id.int for one in given_back), reverse=True)
    assert all(one.amount <= draws[one.grant_id.int - 1].amount for one in given_back)


@given(some_cents, st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), max_size=10), st.integers(-5, 5))
def test_granted_is_used_and_left_and_expired_and_voided(
    amount: Decimal, moves: list[tuple[int, int]], days: int
) -> None:
    """Whatever is used and given back, and whether it has expired by now or not."""
    left, drawn = amount, Decimal(0)
    for part, whole in moves:
        change = ((left if part % 2 else -drawn) * part / (10 * whole)).quantize(Decimal("1e-18"))
        left, drawn = left - change, drawn + change
    grant = Grant(UUID(int=1), UUID(int=1), "prepaid", amount, left, NOW, "EUR", expires_at=NOW + timedelta(days=days))

    where = standing(grant, voided=Decimal(0), now=NOW)

    assert where.used + where.left + where.expired + where.voided == amount
    assert (where.left == 0) or (where.expired == 0)


@given(st.lists(cents, max_size=6), st.one_of(some_cents, st.none()))
def test_a_coupon_takes_off_what_there_is_and_no_more(amounts: list[Decimal], amount: Decimal | None) -> None:
    coupon = Coupon("c", "C", amount=amount, currency="EUR" if amount else "", percent=None if amount else Decimal(10))

    parts = reduction(coupon, amounts, "EUR")

    whole = sum(amounts, Decimal(0))
    assert sum(parts) == (min(amount, whole) if amount else (whole / 10).quantize(Decimal("0.01"), "ROUND_HALF_UP"))
    assert all(0 <= part <= one for part, one in zip(parts, amounts, strict=True))


@given(st.lists(st.integers(0, 300), min_size=1, max_size=12), st.integers(0, 150), st.integers(1, 3),
       st.one_of(st.none(), st.integers(0, 200)))  # fmt: skip
def test_units_that_roll_over_are_used_once_and_within_their_time(
    uses: list[int], quantity: int, periods: int, cap: int | None
) -> None:
    """Month by month: free units are at most those granted so far, a month has at most its own and n times as many of
    the months before, and never more than the cap beside its own."""
    allowance = SharedAllowance(
        "a", Decimal(quantity), ("c",), Rollover(periods, None if cap is None else Decimal(cap))
    )
    state: PoolState | None = None
    free = Decimal(0)
    for number, use in enumerate(uses):
        state = opening(allowance, state, date(2026 + number // 12, number % 12 + 1, 1))
        carried = state.left - quantity
        assert 0 <= carried <= min(quantity * min(periods, number), quantity * periods if cap is None else cap)
        state, taken = take(state, Decimal(use))
        assert taken == min(Decimal(use), carried + quantity)
        free += taken
        assert free <= quantity * (number + 1)


def test_two_versions_in_one_period_leave_what_they_leave_to_the_next() -> None:
    """The first stretch leaves 40 of 100, the second has 100 of its own and not the 40; the month after has both."""
    allowance, month = SharedAllowance("a", Decimal(100), ("c",), Rollover(1)), date(2026, 10, 1)
    first, _ = take(opening(allowance, None, month), Decimal(60))
    second = opening(allowance, first, month)
    assert second.left == 100
    after, _ = take(second, Decimal(90))

    following = opening(allowance, after, date(2026, 11, 1))

    assert following.carried == (Lot(month, Decimal(40), 0), Lot(month, Decimal(10), 0))
    assert following.left == 150


@given(st.lists(cents, min_size=1, max_size=12), cents, st.sampled_from(["1", "1.5", "2", "1.333333"]))
def test_a_term_comes_to_the_commitment_or_to_what_was_spent_with_its_surcharge(
    spent: list[Decimal], committed: Decimal, factor: str
) -> None:
    """However the spending falls on the periods: the sum is what a single period with all of it would owe."""
    before, owed = Decimal(0), Decimal(0)
    for number, amount in enumerate(spent, 1):
        totals = PlanTotals(
            amount, before=before, committed=committed, overage_factor=Decimal(factor), settles=number == len(spent)
        )  # fmt: skip
        owed += amount + sum((item.amount for item in plan_components(totals, "EUR")), Decimal(0))
        before += amount
    at_once = PlanTotals(before, committed=committed, overage_factor=Decimal(factor))

    assert owed == before + sum((item.amount for item in plan_components(at_once, "EUR")), Decimal(0))
    assert owed >= committed
