"""What credit does a tenant have, in which order is it used, and how much of it goes where?

A grant is promotional credit (lowers the net, before tax), prepaid balance in money (pays the total with tax, like a
payment) or prepaid units of a meter (lower the quantity before it is priced). Of two grants of 20.00 and 50.00, the
first expiring sooner, a net of 30.00 takes 20.00 and 10.00: 40.00 are left.

A grant never changes; what was used of it is a ledger that only grows. At any moment and for each grant,
granted = used + left + expired + voided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

from app.domain.money import ZERO, round_amount, split_pro_rata
from app.domain.tax import TaxRate

CreditKind = Literal["promotional", "prepaid", "units"]
CREDIT_KINDS: tuple[CreditKind, ...] = ("promotional", "prepaid", "units")
GrantStatus = Literal["open", "spent", "expired", "voided"]
DEFAULT_PRIORITY = 50

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant of money in `currency`, or of units of `meter` ('' where it is the other).

    `charge` is the charge that units are for ('': the first of the plan that prices the meter). It is in force over
    [effective_at, expires_at); without `effective_at` for whatever is billed after it was made. `left` is what no entry
    of the ledger has taken, whether it has expired or not.
    """

    tenant_id: UUID
    grant_id: UUID
    kind: CreditKind
    amount: Decimal
    left: Decimal
    created_at: datetime
    currency: str = ""
    meter: str = ""
    charge: str = ""
    priority: int = DEFAULT_PRIORITY
    effective_at: datetime | None = None
    expires_at: datetime | None = None
    description: str = ""
    voided_at: datetime | None = None
    void_reason: str = ""

    def covers(self, at: datetime) -> bool:
        """True where the grant is in force at the end of what is billed: its last moment is the one before `at`."""
        begun = self.effective_at is None or self.effective_at <= at
        return begun and (self.expires_at is None or at <= self.expires_at)

    def expired_by(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def status(self, now: datetime) -> GrantStatus:
        if self.voided_at is not None:
            return "voided"
        if not self.left:
            return "spent"
        return "expired" if self.expired_by(now) else "open"


EntryKind = Literal["use", "return", "void"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a tenant's ledger: `amount` is taken from the grant, or given back where it is negative.

    `document_id` is the issued document that it came with (None for what voids the rest of a grant), `invoice_id` the
    invoice that it lowered or paid: for what a credit note gives back, the invoice that this credits.
    """

    sequence: int
    grant_id: UUID
    kind: EntryKind
    amount: Decimal
    created_at: datetime
    document_id: UUID | None = None
    invoice_id: UUID | None = None
    line: str = ""


@dataclass(frozen=True, slots=True)
class Draw:
    """An amount (or a quantity) of one grant."""

    grant_id: UUID
    amount: Decimal


def burn_order(grants: Iterable[Grant]) -> list[Grant]:
    """The lowest priority number first, then what expires first, then the oldest."""
    return sorted(grants, key=lambda one: (one.priority, one.expires_at or _NEVER, one.created_at, one.grant_id.int))


def draw(grants: Iterable[Grant], wanted: Decimal) -> list[Draw]:
    """Up to `wanted` of what the grants have left, in burn order; never more of a grant than it has."""
    draws: list[Draw] = []
    for grant in burn_order(grants):
        taken = min(wanted, grant.left)
        if taken > 0:
            draws.append(Draw(grant.grant_id, taken))
            wanted -= taken
    return draws


@dataclass(frozen=True, slots=True)
class CreditUse:
    """What a grant takes off the net of one VAT group of a document: an allowance at document level (EN 16931, BG-20).

    On a credit note it is what goes back to the grant, and lowers what the note gives back in money.
    """

    grant_id: UUID
    description: str
    amount: Decimal
    tax: TaxRate


def use_promotional(
    grants: Iterable[Grant], nets: Sequence[tuple[TaxRate, Decimal]], currency: str
) -> tuple[CreditUse, ...]:
    """Each grant's part of the net, split over the VAT groups by their nets to the cent.

    Groups whose net is negative take none, and all together take no more than what the document owes.
    """
    open_nets = {tax: net for tax, net in nets if net > 0}
    owed = min(sum(open_nets.values(), ZERO), sum((net for _, net in nets), ZERO))
    by_id = {grant.grant_id: grant for grant in grants}
    uses: list[CreditUse] = []
    for one in draw(by_id.values(), max(owed, ZERO)):
        grant = by_id[one.grant_id]
        parts = split_pro_rata(one.amount, list(open_nets.values()), currency)
        for tax, part in zip(list(open_nets), parts, strict=True):
            if part:
                uses.append(CreditUse(one.grant_id, grant.description or "promotional credit", part, tax))
                open_nets[tax] -= part
    return tuple(uses)


def give_back_promotional(
    billed: Sequence[tuple[TaxRate, Decimal]],
    uses: Sequence[CreditUse],
    credited: Sequence[tuple[TaxRate, Decimal]],
    returned: Sequence[CreditUse],
) -> tuple[CreditUse, ...]:
    """What goes back to the grants when a credit note lowers an invoice: the credit that its net no longer carries.

    `billed` and `uses` are the invoice's nets before credit and the credit that it used; `credited` the nets that this
    and earlier notes take back, `returned` what earlier notes gave back. Per VAT group the invoice keeps its credit as
    long as there is net for it, as if it had been right from the start; the grant used last gets back first.

    100.00 with 30.00 of credit: a note over 20.00 gives back money only, one over 80.00 gives 10.00 to the grant.
    """
    nets: dict[TaxRate, Decimal] = {}
    for tax, amount in billed:
        nets[tax] = nets.get(tax, ZERO) + amount
    for tax, amount in credited:
        nets[tax] = nets.get(tax, ZERO) - amount
    given: list[CreditUse] = []
    for tax, net in nets.items():
        own = [use for use in uses if use.tax == tax]
        kept = {use.grant_id: ZERO for use in own}
        for use in own:
            kept[use.grant_id] += use.amount
        for use in returned:
            if use.tax == tax:
                kept[use.grant_id] -= use.amount
        excess = sum(kept.values(), ZERO) - max(net, ZERO)
        for use in reversed(own):
            back = min(excess, kept[use.grant_id])
            if back > 0:
                given.append(CreditUse(use.grant_id, use.description, back, tax))
                kept[use.grant_id] -= back
                excess -= back
    return tuple(given)


def give_back(draws: Sequence[Draw], amount: Decimal) -> list[Draw]:
    """How an amount goes back to the grants that it was drawn from (in that order): to the last of them first."""
    given: list[Draw] = []
    for one in reversed(draws):
        back = min(one.amount, amount)
        if back > 0:
            given.append(Draw(one.grant_id, back))
            amount -= back
    return given


# --- the sum that always holds ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a grant stands: granted = used + left + expired + voided."""

    used: Decimal
    left: Decimal
    expired: Decimal
    voided: Decimal


def standing(grant: Grant, *, voided: Decimal, now: datetime) -> Standing:
    """`voided` is what the ledger took out of the grant without a document."""
    used = grant.amount - grant.left - voided
    if grant.expired_by(now):
        return Standing(used, ZERO, grant.left, voided)
    return Standing(used, grant.left, ZERO, voided)


def amount_problem(kind: CreditKind, amount: Decimal, currency: str) -> str | None:
    """What is wrong with the amount of a grant; None where nothing is."""
    if kind == "units":
        decimals = -int(amount.normalize().as_tuple().exponent)
        fits = 0 < amount < Decimal(10) ** 20 and decimals <= 18
        return None if fits else "a quantity of units is above 0 and under 10^20, with at most 18 decimals"
    if not 0 < amount < Decimal(10) ** 15:
        return "an amount of credit is above 0 and under 10^15"
    return None if round_amount(amount, currency) == amount else f"has more decimals than {currency}"
