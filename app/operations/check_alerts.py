"""Look at what some tenants' alerts watch, and keep each threshold that was crossed, once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.engine import Connection

from app.domain.alerts import Alert, Change, Crossing, Value, look, round_of
from app.domain.credit import Grant
from app.domain.entitlement import Balance, prepaid_left
from app.domain.errors import BillingError
from app.domain.ids import new_id
from app.domain.invoices import InvoiceLine
from app.domain.meters import Meter
from app.domain.money import ZERO
from app.domain.periods import window_at
from app.domain.plan_totals import TRUE_UP
from app.domain.tenants import Tenant
from app.observability import metrics
from app.operations.announce import announce
from app.operations.billing_books import Books, billables, books_of, charge_lines, period_at
from app.operations.meter_standing import Balances, Running, pricing, running_subscriptions
from app.operations.next_document import next_document
from app.operations.rate_period import Billable, meters_by_key
from app.operations.settle_shared import may_share
from app.storage import alert_store, credit_store, tenant_store
from app.storage.alert_store import Mark, StoredAlert
from app.storage.database import Database
from app.wire.alerts import crossing_to_wire

_log = logging.getLogger("quotepart.alerts")


@dataclass(frozen=True, slots=True)
class _Watched:
    """One figure that an alert watches, of one tenant and subscription (None: of no subscription)."""

    stored: StoredAlert
    tenant: Tenant
    running: Running | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """A figure as it stands, and what is new about it."""

    watched: _Watched
    value: Value
    unit: str
    change: Change

    @property
    def key(self) -> alert_store.NoticedKey:
        stored, tenant_id = self.watched.stored, self.watched.tenant.tenant_id
        return tenant_id, stored.alert_id, self.value.subscription, round_of(stored.alert, self.value)


def check_alerts(database: Database, tenant_ids: Sequence[UUID], *, now: datetime, marks: Sequence[Mark] = ()) -> int:
    """How many crossings of these tenants were noticed for the first time. The marks are taken away with that, but
    for those of tenants that were marked again since."""
    with metrics.ALERT_CHECK_SECONDS.time():
        seen = database.read(lambda connection: _look(connection, tenant_ids, now))
        if not seen and not marks:
            return 0

        def work(connection: Connection) -> list[Crossing]:
            found = [crossing for item in seen for crossing in _keep(connection, item, now)]
            alert_store.unmark(connection, marks)
            return found

        noticed = database.write(work)
    for crossing in noticed:
        metrics.ALERT_CROSSINGS.labels(crossing.measure).inc()
        _log.info("threshold crossed", extra={"alert": crossing.alert, "measure": crossing.measure})
    return len(noticed)


def _keep(connection: Connection, item: _Seen, now: datetime) -> Iterator[Crossing]:
    """Writes what is new; the crossings that nobody has written before."""
    alert, value = item.watched.stored.alert, item.value
    for threshold in item.change.crossed:
        crossing = Crossing(
            item.watched.tenant.tenant_id, new_id(), alert.key, alert.measure, alert.meter, alert.charge,
            value.subscription, threshold, alert.percent_of, value.figure, value.base, item.unit, value.period,
            round_of(alert, value), now,
        )  # fmt: skip
        if alert_store.record(connection, item.watched.stored.alert_id, crossing):
            tenant = item.watched.tenant
            announce(connection, "alert.crossed", tenant.tenant_id, crossing_to_wire(crossing, tenant.key), now=now)
            yield crossing
    for thresholds, at in ((item.change.receded, now), (item.change.returned, None)):
        if thresholds:
            alert_store.set_receded(connection, item.key, thresholds, at=at)


# --- looking ----------------------------------------------------------------------------------------------------------


def _look(connection: Connection, tenant_ids: Sequence[UUID], now: datetime) -> list[_Seen]:
    """Every figure about which there is something new."""
    tenants = tenant_store.find_many(connection, tenant_ids)
    running = running_subscriptions(connection, tenants, now=now)
    meters = meters_by_key(connection)
    watched = list(_watched(alert_store.enabled_alerts(connection), tenants, running, meters))
    balances = Balances(connection, now=now)
    for item in watched:
        if item.stored.alert.measure != "amount" and item.stored.alert.meter is not None:
            balances.ask(item.tenant, meters[item.stored.alert.meter], item.running)
    balances.read()
    amounts = _Amounts(connection, now)
    paid_for = any(item.stored.alert.measure == "balance" for item in watched)
    grants = credit_store.prepaid_grants(connection, tenant_ids) if paid_for else {}
    values: list[tuple[_Watched, Value, str]] = []
    for item in watched:
        own = grants.get(item.tenant.tenant_id, [])
        match item.stored.alert:
            case Alert(measure="amount"):
                found = amounts.of(item)
            case Alert(meter=None):
                found = _money(item, own, now)
            case Alert(meter=key):
                found = _metered(item, balances, meters[key or ""], own, now)
        if found is not None:
            values.append((item, *found))
    return list(_news(connection, values))


def _watched(
    stored: Sequence[StoredAlert], tenants: Sequence[Tenant], running: dict[UUID, list[Running]],
    meters: dict[str, Meter],
) -> Iterator[_Watched]:  # fmt: skip
    for tenant in tenants:
        own = running[tenant.tenant_id]
        for item in stored:
            if item.tenant_id == tenant.tenant_id:
                among = own
            elif item.alert.plan is not None:
                among = [each for each in own if each.plan == item.alert.plan]
            else:
                continue
            if item.alert.measure == "amount":
                yield from (_Watched(item, tenant, each) for each in among)
                continue
            if item.alert.meter is None:
                if item.tenant_id is not None or among:
                    yield _Watched(item, tenant, None)
                continue
            meter = meters.get(item.alert.meter or "")
            priced = None if meter is None else pricing(among, meter)
            # Without a subscription there is a quantity, that of the calendar month, and nothing that could be left.
            if meter is not None and (priced or (item.tenant_id and item.alert.measure == "quantity")):
                yield _Watched(item, tenant, priced)


def _money(item: _Watched, grants: Sequence[Grant], now: datetime) -> tuple[Value, str] | None:
    """What is left of prepaid money; None where there never was any. It has no billing period: a calendar month."""
    left = prepaid_left(grants, None, meter="", now=now).amount
    if left is None:
        return None
    month = window_at(now, "month", ZoneInfo(item.tenant.time_zone))
    return Value("", month, left), item.tenant.currency


def _metered(
    item: _Watched, balances: Balances, meter: Meter, grants: Sequence[Grant], now: datetime
) -> tuple[Value, str] | None:
    """The quantity, or what is left of the allowance and of prepaid units; None where there are none of them."""
    alert, balance = item.stored.alert, balances.of(item.tenant, meter, item.running)
    subscription = "" if item.running is None else item.running.subscription.key
    if alert.measure == "quantity":
        return Value(subscription, balance.period, balance.used, _base(alert, balance)), meter.billed_unit
    units = prepaid_left(grants, balance, meter=meter.key, now=now).units
    if not balance.allowance and units is None:
        return None
    left = balance.allowance_left + (units or ZERO)
    return Value(subscription, balance.period, left, _base(alert, balance)), meter.billed_unit


def _base(alert: Alert, balance: Balance) -> Decimal | None:
    """What percentages are taken of; None where there is no such thing, or nothing of it."""
    match alert.percent_of:
        case "allowance":
            return balance.allowance or None
        case "limit":
            return balance.limit or None
        case _:
            return None


class _Amounts:
    """What the open period of each subscription comes to so far, before tax: rated once, as the preview rates it."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._now = now
        self._found: dict[tuple[UUID, UUID], list[tuple[str, str | None, Decimal]] | None] = {}

    def of(self, item: _Watched) -> tuple[Value, str] | None:
        """None where nothing of the kind is charged, or where it cannot be rated as the catalog stands."""
        assert item.running is not None
        subscription, alert = item.running.subscription, item.stored.alert
        key = (subscription.tenant_id, subscription.subscription_id)
        if key not in self._found:
            self._found[key] = self._rated(item.running)
        lines = self._found[key]
        if lines is None:
            return None
        amounts = [
            amount for charge, meter, amount in lines if alert.charge in (None, charge) and alert.meter in (None, meter)
        ]
        if not amounts:
            return None
        committed = None
        if alert.percent_of == "commitment" and item.running.commitment is not None:
            # Over a term of several periods this one alone says nothing.
            committed = item.running.commitment.amount if item.running.commitment.periods is None else None
        return Value(subscription.key, item.running.period, sum(amounts, ZERO), committed or None), item.tenant.currency

    def _rated(self, running: Running) -> list[tuple[str, str | None, Decimal]] | None:
        """(charge, its meter, amount) of each line."""
        subscription = running.subscription
        try:
            books = replace(books_of(self._connection, subscription), until=self._now)
            period = period_at(self._connection, subscription, books.versions, zone=books.zone, at=self._now)
            items = billables(books, period)
            lines = self._lines(books, items, running)
        except BillingError as error:
            _log.info("an amount is not known", extra={"subscription": subscription.key, "detail": error.detail})
            return None
        meters = {item.charge.key: item.charge.meter for item in items}
        return [(line.charge, meters.get(line.charge), line.amount) for line in lines]

    def _lines(self, books: Books, items: Sequence[Billable], running: Running) -> list[InvoiceLine]:
        """A line for each charge of the open period. A plan's minimum is no use: it is due at the end alone."""
        if not may_share(self._connection, running.subscription, running.terms):
            return charge_lines(self._connection, books, items)
        in_advance = [item for item in items if item.charge.timing == "advance"]
        keys = {item.charge.key for item in in_advance}
        period, due = next_document(self._connection, books, self._now)
        settled = [line for line in due.lines if line.period.start < period.end and line.charge != TRUE_UP]
        return [
            *charge_lines(self._connection, books, in_advance),
            *(line for line in settled if line.charge not in keys),
        ]


def _news(connection: Connection, values: Sequence[tuple[_Watched, Value, str]]) -> Iterator[_Seen]:
    rounds = {round_of(item.stored.alert, value) for item, value, _ in values}
    tenant_ids = sorted({item.tenant.tenant_id for item, _, _ in values})
    noticed = alert_store.noticed(connection, tenant_ids, sorted(rounds))
    for item, value, unit in values:
        alert = item.stored.alert
        key = (item.tenant.tenant_id, item.stored.alert_id, value.subscription, round_of(alert, value))
        change = look(alert, value, noticed.get(key, {}))
        if change != Change():
            yield _Seen(item, value, unit, change)
