"""What a payment holds of each VAT rate, and which invoices it pays."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.ids import NOBODY, new_id
from app.domain.money import ZERO, round_amount
from app.domain.payments import OpenAmount, PaidTax, less, oldest_first, owed_tax, split_paid, summed_tax
from app.domain.receivables import Claim, aged, bucket_of
from app.domain.tax import TaxGroup

CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])


def cents(amount: Decimal, currency: str) -> Decimal:
    return round_amount(amount, currency)


@st.composite
def invoices(draw: st.DrawFn) -> tuple[tuple[PaidTax, ...], str]:
    """The VAT groups of an invoice whose total is above zero; a group alone may be below it."""
    currency = draw(CURRENCIES)
    rates = draw(st.lists(st.sampled_from(["20", "10", "5.5", "2.1", "0"]), min_size=1, max_size=5, unique=True))
    groups = []
    for rate in rates:
        base = cents(Decimal(draw(st.integers(-5_000, 1_000_000))) / 100, currency)
        groups.append(
            TaxGroup("S" if rate != "0" else "Z", Decimal(rate), base, cents(base * Decimal(rate) / 100, currency))
        )
    owed = owed_tax(groups, ())
    if sum((group.base + group.amount for group in owed), ZERO) <= 0:
        owed = (PaidTax("S", Decimal(20), Decimal(100), Decimal(20)),)
    return owed, currency


def test_a_first_part_is_split_pro_rata_and_the_last_brings_the_rest() -> None:
    """35.00 at 20 % and 10.00 at 5.5 % are 52.55; of 26.27 the first holds 42.00 / 52.55, which is 21.00."""
    owed = (
        PaidTax("S", Decimal("5.5"), Decimal("10.00"), Decimal("0.55")),
        PaidTax("S", Decimal(20), Decimal("35.00"), Decimal("7.00")),
    )

    first = split_paid(owed, Decimal("26.27"), "EUR")
    last = less(split_paid(owed, Decimal("52.55"), "EUR"), first)

    assert [(part.base, part.amount) for part in first] == [
        (Decimal("5.00"), Decimal("0.27")), (Decimal("17.50"), Decimal("3.50")),
    ]  # fmt: skip
    assert [(part.base, part.amount) for part in last] == [
        (Decimal("5.00"), Decimal("0.28")), (Decimal("17.50"), Decimal("3.50")),
    ]  # fmt: skip


@given(invoices(), st.lists(st.integers(1, 100), min_size=1, max_size=8))
def test_any_parts_sum_to_what_is_paid_and_all_of_them_to_the_vat(
    invoice: tuple[tuple[PaidTax, ...], str], weights: list[int]
) -> None:
    """However the total is cut into payments: each split sums to its payment to the cent, and all to the groups."""
    owed, currency = invoice
    total = sum((group.base + group.amount for group in owed), ZERO)
    marks = [cents(total * sum(weights[: count + 1]) / sum(weights), currency) for count in range(len(weights))]
    before: tuple[PaidTax, ...] = ()
    paid, splits = ZERO, []
    for mark in marks:
        upto = split_paid(owed, mark, currency)
        splits.append(less(upto, before))
        assert sum((part.base + part.amount for part in splits[-1]), ZERO) == mark - paid
        before, paid = upto, mark

    assert summed_tax(part for split in splits for part in split) == summed_tax(owed)


@given(invoices(), st.integers(0, 1000))
def test_a_split_is_within_a_cent_of_its_exact_share(
    invoice: tuple[tuple[PaidTax, ...], str], thousandths: int
) -> None:
    """Of every group, for its gross amount; and its VAT within another of the group's own proportion."""
    owed, currency = invoice
    total = sum((group.base + group.amount for group in owed), ZERO)
    paid = cents(total * thousandths / 1000, currency)
    unit = cents(Decimal(1), currency) / (1 if currency == "JPY" else 1000 if currency == "KWD" else 100)
    found = {(part.category, part.rate): part for part in split_paid(owed, paid, currency)}

    for group in owed:
        part = found.get((group.category, group.rate), PaidTax(group.category, group.rate, ZERO, ZERO))
        exact = paid * (group.base + group.amount) / total
        assert abs(part.base + part.amount - exact) <= unit
        assert abs(part.amount - paid * group.amount / total) <= unit


@given(st.lists(st.integers(1, 10_000), max_size=8), st.integers(0, 50_000))
def test_the_oldest_is_paid_first_and_none_too_much(dues: list[int], amount: int) -> None:
    claims = [OpenAmount(new_id(), Decimal(due), (date(2026, 1, 1), number)) for number, due in enumerate(dues)]

    paid = oldest_first(reversed(claims), Decimal(amount))

    assert sum(part for _, part in paid) == min(amount, sum(dues))
    assert [id for id, _ in paid] == [claim.invoice_id for claim in claims[: len(paid)]]
    assert all(part == claim.due for (_, part), claim in list(zip(paid, claims, strict=False))[:-1])


def claim(due_date: date, total: str = "10.00", **more: Decimal) -> Claim:
    amount = Decimal(total)
    return Claim(
        NOBODY, new_id(), NOBODY, "1", 1, "EUR", amount, (), date(2026, 1, 1), due_date,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_claim_grows_old_by_the_days_since_its_due_date() -> None:
    """Due on 1 March: not over on that day; 30 days over on 31 March, 60 on 30 April, 90 on 30 May."""
    due = date(2026, 3, 1)
    steps = (
        (0, "not_due"),
        (1, "0-30"),
        (30, "0-30"),
        (31, "31-60"),
        (60, "31-60"),
        (61, "61-90"),
        (90, "61-90"),
        (91, "90+"),
    )
    assert [(days, bucket_of(claim(due), due + timedelta(days=days))) for days, _ in steps] == list(steps)
    assert (due + timedelta(days=30), due + timedelta(days=90)) == (date(2026, 3, 31), date(2026, 5, 30))


def test_what_a_payer_owes_stands_in_buckets_less_what_is_on_account() -> None:
    """10.00 not due, 4.00 of 10.00 two months over: 14.00, less 3.00 on account 11.00; settled claims do not count."""
    as_of, payer = date(2026, 5, 1), UUID(int=0)
    claims = [
        claim(date(2026, 6, 1)), claim(date(2026, 3, 1), from_payments=Decimal(5), credited=Decimal(1)),
        claim(date(2026, 1, 1), from_balance=Decimal(10)),
    ]  # fmt: skip

    rows = aged(claims, {(payer, "EUR"): Decimal(3), (payer, "USD"): Decimal(2)}, as_of)

    euros, dollars = rows[payer, "EUR"], rows[payer, "USD"]
    assert (euros.buckets["not_due"], euros.buckets["61-90"], euros.invoices) == (Decimal(10), Decimal(4), 2)
    assert [euros.due, euros.overdue, euros.unallocated, euros.balance] == [Decimal(n) for n in (14, 4, 3, 11)]
    assert [dollars.due, dollars.balance] == [Decimal(0), Decimal(-2)]
