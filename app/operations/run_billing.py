"""Works through every billing instant that is due, oldest first per subscription, several in one transaction.

A run is a job: it survives the process that works on it, and any number of processes may work on runs over the same
subscriptions at once. What one of them has closed the others find closed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.engine import Connection

from app.domain.errors import BillingError, CannotBill, FieldProblem, InvalidInput, ThroughInFuture
from app.domain.events import instant_text
from app.domain.ids import NOBODY, new_id
from app.domain.subscriptions import BILL_LATE_USAGE, Subscription
from app.observability import metrics
from app.observability.logs import bound
from app.operations.announce import announce
from app.operations.billing_books import Desk
from app.operations.close_period import Closed, close_period, close_together, correct_only, open_desk
from app.operations.find_due import Due, Work, work_of
from app.operations.list_late_usage import list_late_usage
from app.operations.list_unpriced import list_unpriced
from app.storage import billing_store, catalog_store, job_store, tenant_store
from app.storage.billing_store import BillingRun
from app.storage.database import Database
from app.wire.announcements import run_facts

JOB_KIND = "billing_run"
_MAX_FAILURES_LISTED = 100
_FIRST_TOGETHER, _MOST_TOGETHER = 8, 64
_LONGEST_TOGETHER_SECONDS = 0.25
"""Several instants share a transaction, but for no longer than this: use is waiting to be written meanwhile."""
_EARLIER_FAILED = "an earlier period of this subscription failed"
One = TypeVar("One", Due, Subscription)
_log = logging.getLogger("quotepart.billing")


def start_billing_run(
    database: Database, *, through: datetime, issue: bool, dry_run: bool, now: datetime,
    tenants: tuple[str, ...] = (), sellers: tuple[str, ...] = (), plans: tuple[str, ...] = (),
) -> tuple[BillingRun, UUID]:  # fmt: skip
    """A run that was written down with its job; a worker takes it from there. Raises ThroughInFuture, or InvalidInput
    where it names a tenant, seller or plan that there is not."""
    if through > now:
        detail = "`through` lies in the future: a period is billed once it has ended."
        raise ThroughInFuture(detail, problems=(FieldProblem("#/through", detail),))
    database.read(lambda connection: _check_known(connection, tenants, sellers, plans))
    run = BillingRun(new_id(), through, issue, dry_run, tenants, sellers, plans)

    def work(connection: Connection) -> UUID:
        billing_store.add_run(connection, run, now)
        return job_store.enqueue(connection, JOB_KIND, {"run_id": run.run_id.hex}, now)

    return run, database.write(work)


def _check_known(
    connection: Connection, tenants: tuple[str, ...], sellers: tuple[str, ...], plans: tuple[str, ...]
) -> None:
    known_tenants = set(tenant_store.known_keys(connection, tenants + sellers))
    known_plans = catalog_store.known_plans(connection, plans)
    problems = [
        FieldProblem(f"#/{name}/{index}", f"there is no {noun} {key!r}")
        for name, noun, keys, known in (
            ("tenants", "tenant", tenants, known_tenants),
            ("sellers", "tenant", sellers, known_tenants),
            ("plans", "plan", plans, known_plans),
        )
        for index, key in enumerate(keys)
        if key not in known
    ]
    if problems:
        raise InvalidInput("; ".join(item.detail for item in problems[:10]), problems=tuple(problems))


def run_billing(
    database: Database, run_id: UUID, *, clock: Callable[[], datetime], terms_days: int,
    keep_going: Callable[[], bool],
    progress: Callable[[BillingRun], None] | None = None,
) -> BillingRun | None:  # fmt: skip
    """The run when every due instant was tried; None when `keep_going` said to stop, to be gone on with later.

    One that cannot be billed is listed with its reason and stops the later instants of its subscription only.
    """
    with bound(run_id=run_id.hex):
        return _run(database, run_id, clock=clock, terms_days=terms_days, keep_going=keep_going, progress=progress)


def _run(
    database: Database, run_id: UUID, *, clock: Callable[[], datetime], terms_days: int,
    keep_going: Callable[[], bool], progress: Callable[[BillingRun], None] | None,
) -> BillingRun | None:  # fmt: skip
    found = find_run(database, run_id)
    assert found is not None
    work = database.read(lambda connection: work_of(connection, found))
    due = max(found.periods_due, found.closed + work.periods_due)
    run = replace(found, periods_due=due, failed=0, failures=(), withheld=())
    tracker = _Tracker(database, run, progress)
    tracker.show(force=True)
    if not run.dry_run:
        for step in _steps(database, work, run, clock=clock, terms_days=terms_days, tracker=tracker):
            step()
            if tracker.due_for_sign_of_life() and not keep_going():
                return None
    unpriced = database.read(lambda connection: list_unpriced(connection, through=run.through, tenants=run.tenants))
    own = [item for item in work.subscriptions if item.late_usage != BILL_LATE_USAGE]
    unbilled = database.read(lambda connection: list_late_usage(connection, own, at=run.through))
    withheld = [item for item in unbilled if item["status"] != "pending"]
    return tracker.finish(tuple(unpriced), tuple(withheld), now=clock())


def _steps(
    database: Database, work: Work, run: BillingRun, *, clock: Callable[[], datetime], terms_days: int,
    tracker: _Tracker,
) -> Iterator[Callable[[], None]]:  # fmt: skip
    blocked: set[UUID] = set()
    closed: set[UUID] = set()
    # What follows a draft that is withheld is drafted too: documents of one subscription are issued in order.
    waiting: set[UUID] = set()

    def close(connection: Connection, one: Due, desk: Desk) -> Closed:
        ids = _ids(one)
        if ids & blocked:
            raise CannotBill(_EARLIER_FAILED)
        issue, now = run.issue and not ids & waiting, clock()
        if one.is_collected:
            made = close_together(
                connection, one.tenant_id, one.at, issue=issue, now=now, terms_days=terms_days, desk=desk
            )  # fmt: skip
        else:
            made = close_period(
                connection, one.tenant_id, one.subscription_id, one.at, issue=issue, now=now, terms_days=terms_days,
                desk=desk,
            )  # fmt: skip
        if made.withheld:
            waiting.update(ids)
        return made

    def correct(connection: Connection, one: Subscription, desk: Desk) -> Closed:
        return correct_only(
            connection, one.tenant_id, one.subscription_id, through=run.through, issue=run.issue, now=clock(),
            terms_days=terms_days, desk=desk,
        )  # fmt: skip

    def note_closed(one: Due, made: Closed | str, seconds: float) -> None:
        if isinstance(made, str):
            blocked.update(_ids(one))
            for each in one.all:
                tracker.fail(each.tenant, each.subscription, each.at, made)
            return
        closed.update(_ids(one))
        metrics.CLOSING_SECONDS.observe(seconds)
        _count_issued(made)
        tracker.withhold(one.tenant, one.subscription, made, one.at)
        for _ in one.all:
            tracker.close()

    def note_corrected(one: Subscription, made: Closed | str, _seconds: float) -> None:
        if isinstance(made, str):
            tracker.fail(one.tenant, one.key, None, made, counts=False)
            return
        _count_issued(made)
        tracker.withhold(one.tenant, one.key, made)

    yield from _together(database, work.due, close, note_closed)
    left = [one for one in work.subscriptions if one.subscription_id not in closed | blocked]
    yield from _together(database, left, correct, note_corrected)


def _ids(one: Due | Subscription) -> set[UUID]:
    """The subscriptions that are closed or corrected with it."""
    return {one.subscription_id} if isinstance(one, Subscription) else {each.subscription_id for each in one.all}


def _desk(connection: Connection, items: Sequence[Due | Subscription]) -> Desk:
    return open_desk(connection, [(one.tenant_id, id) for one in items for id in _ids(one)])


def _together(
    database: Database, items: Sequence[One], work: Callable[[Connection, One, Desk], Closed],
    note: Callable[[One, Closed | str, float], None],
) -> Iterator[Callable[[], None]]:  # fmt: skip
    """Steps that work off all items in order: as many in one transaction as come within a moment. `note` is told, once
    that is durable, what was made of each or why nothing was, and how many seconds it took."""
    position, size = 0, _FIRST_TOGETHER

    def step() -> None:
        nonlocal position, size
        tried = items[position : position + size]
        made = _tried(database, tried, work)
        for one, result, seconds in made:
            note(one, result, seconds)
        position += len(made)
        # What is locked and read for the others of a transaction that ended early is for nothing.
        size = min(2 * size, _MOST_TOGETHER) if len(made) == len(tried) else len(made)

    while position < len(items):
        yield step


def _tried(
    database: Database, items: Sequence[One], work: Callable[[Connection, One, Desk], Closed]
) -> list[tuple[One, Closed | str, float]]:
    """What was made of the first of the items; of each alone where together an error came that nobody foresaw."""
    try:
        return database.write(lambda connection: _in_one(connection, items, work))
    except BillingError as error:
        return [(items[0], error.detail, 0.0)]
    except Exception:
        _log.warning("closing several together failed: each is closed alone", exc_info=True)
        return [_alone(database, one, work) for one in items]


def _in_one(
    connection: Connection, items: Sequence[One], work: Callable[[Connection, One, Desk], Closed]
) -> list[tuple[One, Closed | str, float]]:
    desk = _desk(connection, items)
    until = time.monotonic() + _LONGEST_TOGETHER_SECONDS
    made: list[tuple[One, Closed | str, float]] = []
    failed: set[UUID] = set()
    for one in items:
        began = time.perf_counter()
        result: Closed | str = _EARLIER_FAILED
        if not _ids(one) & failed:
            try:
                with connection.begin_nested():
                    result = work(connection, one, desk)
            except BillingError as error:
                result = error.detail
                failed.update(_ids(one))
                desk.issuing.forget_numbers()
        made.append((one, result, time.perf_counter() - began))
        if time.monotonic() > until:  # others wait for what is locked here
            break
    return made


def _alone(
    database: Database, one: One, work: Callable[[Connection, One, Desk], Closed]
) -> tuple[One, Closed | str, float]:
    began = time.perf_counter()
    result: Closed | str
    try:
        result = database.write(lambda connection: work(connection, one, _desk(connection, [one])))
    except BillingError as error:
        result = error.detail
    except Exception:
        _log.exception("unexpected error while billing", extra={"subscription": str(one.subscription_id)})
        result = "unexpected error; it was logged"
    return one, result, time.perf_counter() - began


def _end(connection: Connection, run: BillingRun, now: datetime) -> None:
    """Writes down that the run is done, and announces it once: also where two workers come to its end."""
    if billing_store.end_run(connection, run) and not run.dry_run:
        announce(connection, "billing_run.finished", NOBODY, run_facts(run), now=now)


def _count_issued(made: Closed) -> None:
    for document in made.documents:
        if document.invoice.status == "issued":
            metrics.DOCUMENTS.labels(document.invoice.type).inc()


class _Tracker:
    """Keeps the run's row near the truth without a write for every instant."""

    SAVE_SECONDS = 0.5
    SIGN_OF_LIFE_SECONDS = 2.0

    def __init__(self, database: Database, run: BillingRun, progress: Callable[[BillingRun], None] | None) -> None:
        self._database = database
        self._run = run
        self._progress = progress
        self._saved = self._signed = time.monotonic()

    def close(self) -> None:
        self._run = replace(self._run, closed=self._run.closed + 1)
        self.show()

    def fail(self, tenant: str, subscription: str, at: datetime | None, why: str, *, counts: bool = True) -> None:
        entry: dict[str, Any] = {"tenant": tenant, "subscription": subscription, "detail": why}
        if at is not None:
            entry["billing_at"] = instant_text(at)
        failures = (*self._run.failures, entry)[:_MAX_FAILURES_LISTED]
        self._run = replace(self._run, failed=self._run.failed + counts, failures=failures)
        metrics.PERIOD_FAILURES.inc()
        _log.warning("period not billed", extra=entry)
        self.show()

    def withhold(self, tenant: str, subscription: str, made: Closed, at: datetime | None = None) -> None:
        """Notes which drafts were to be issued and were not."""
        for document in made.documents:
            why = made.withheld.get(document.place.invoice_id)
            if why is not None:
                entry = {
                    "tenant": tenant, "subscription": subscription, "invoice": document.invoice.id, "reason": why,
                } | ({} if at is None else {"billing_at": instant_text(at)})  # fmt: skip
                self._run = replace(self._run, withheld=(*self._run.withheld, entry)[:_MAX_FAILURES_LISTED])

    def show(self, *, force: bool = False) -> None:
        if self._progress is not None:
            self._progress(self._run)
        if force or time.monotonic() - self._saved > self.SAVE_SECONDS:
            self._saved = time.monotonic()
            self._database.write(lambda connection: billing_store.save_run(connection, self._run))

    def due_for_sign_of_life(self) -> bool:
        if time.monotonic() - self._signed < self.SIGN_OF_LIFE_SECONDS:
            return False
        self._signed = time.monotonic()
        return True

    def finish(
        self, unpriced: tuple[dict[str, Any], ...], unbilled: tuple[dict[str, Any], ...], *, now: datetime
    ) -> BillingRun:
        run = self._run = replace(self._run, status="done", unpriced=unpriced, unbilled=unbilled)
        if self._progress is not None:
            self._progress(run)
        self._database.write(lambda connection: _end(connection, run, now))
        _log.info("billing run done", extra={"due": run.periods_due, "closed": run.closed, "failed": run.failed})
        return self._run


def find_run(database: Database, run_id: UUID) -> BillingRun | None:
    return database.read(lambda connection: billing_store.find_run(connection, run_id))
