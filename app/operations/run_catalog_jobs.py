"""Does the jobs that catalog changes leave behind: catching meters up, releasing quarantined events."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.engine import Connection

from app.operations import catch_up_meters, release_quarantine
from app.storage import job_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.job_store import Job

LONGEST_BEFORE_BILLING_SECONDS = 600
"""How long a billing run waits for what was posted before the catalog changed to be counted."""

KINDS = (catch_up_meters.JOB_KIND, release_quarantine.JOB_KIND)


def new_holder() -> str:
    """A name for one worker that no other has."""
    return f"{os.getpid()}-{secrets.token_hex(6)}"


def run_catalog_jobs(
    database: Database, cache: CatalogCache, *, clock: Callable[[], datetime], future: timedelta,
    lease_seconds: int, budget_seconds: int | None = None, stopping: Callable[[], bool] = lambda: False,
) -> bool:  # fmt: skip
    """True when no such job is left; False when the budget ran out, it is to stop, or another process still works on
    one.

    Without a budget every job that can be leased is done to its end.
    """
    deadline = None if budget_seconds is None else time.monotonic() + budget_seconds
    holder = new_holder()

    def may_go_on() -> bool:
        return not stopping() and (deadline is None or time.monotonic() < deadline)

    while database.read(lambda connection: job_store.unfinished(connection, KINDS)):
        if not may_go_on():
            return False
        job = database.write(
            lambda connection: job_store.lease(
                connection, holder=holder, now=clock(), seconds=lease_seconds, kinds=KINDS
            )
        )
        if job is not None:
            run_job(
                database, cache, job, holder=holder, clock=clock, future=future, lease_seconds=lease_seconds,
                may_go_on=may_go_on,
            )  # fmt: skip
        elif deadline is None:
            return False
        else:
            time.sleep(0.05)  # another process has it; it may be done in a moment
    return True


def run_job(
    database: Database, cache: CatalogCache, job: Job, *, holder: str, clock: Callable[[], datetime],
    future: timedelta, lease_seconds: int, may_go_on: Callable[[], bool],
) -> None:  # fmt: skip
    """Does one leased job; gives it back where it may not go on before its end, leaves it where the lease was lost."""
    lost = False

    def keep_going() -> bool:
        nonlocal lost
        if not may_go_on():
            return False
        lost = not database.write(
            lambda connection: job_store.extend(
                connection, job.job_id, holder=holder, now=clock(), seconds=lease_seconds
            )
        )
        return not lost

    if job.kind == catch_up_meters.JOB_KIND:
        done = catch_up_meters.catch_up_meter(database, job, keep_going=keep_going)
    else:
        released = release_quarantine.release_quarantine(
            database, cache, job, now=clock(), future=future, keep_going=keep_going
        )
        done = released is not None
    if lost:
        return

    def settle(connection: Connection) -> None:
        if done:
            job_store.finish(connection, job.job_id, holder=holder)
        else:
            job_store.postpone(connection, job.job_id, holder=holder, due_at=clock(), problem="")

    database.write(settle)
