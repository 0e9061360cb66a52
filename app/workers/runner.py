"""Claims due jobs and runs their operations, in a thread of `serve` or on its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from app.observability import metrics
from app.observability.logs import bound
from app.operations import run_billing, run_simulations
from app.operations.issue_ripe import issue_ripe
from app.operations.run_catalog_jobs import KINDS as CATALOG_KINDS
from app.operations.run_catalog_jobs import LONGEST_BEFORE_BILLING_SECONDS, new_holder, run_catalog_jobs, run_job
from app.storage import job_store
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.job_store import Job

_log = logging.getLogger("quotepart.worker")

JOB_KINDS = (*CATALOG_KINDS, run_billing.JOB_KIND, run_simulations.JOB_KIND)

POLL_SECONDS = 0.5
RIPE_SECONDS = 30.0
_LONGEST_BACKOFF_SECONDS = 300


class Runner:
    """One worker: runs jobs one after another until it is told to stop. Any number may run on one database."""

    def __init__(
        self, database: Database, cache: CatalogCache, *, clock: Callable[[], datetime], future: timedelta,
        lease_seconds: int, terms_days: int,
    ) -> None:  # fmt: skip
        self._database = database
        self._cache = cache
        self._clock = clock
        self._future = future
        self._lease_seconds = lease_seconds
        self._terms_days = terms_days
        self._holder = new_holder()
        self._next_ripe = 0.0
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="quotepart-worker", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do now."""
        self._wake.set()

    def stop(self, timeout_seconds: float = 10) -> None:
        """Lets the transaction in hand finish; a job that is not done is given back for another worker."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                worked = self.run_one()
            except Exception:
                _log.exception("the worker could not look for jobs")
                worked = False
            if not worked:
                self._issue_ripe()
                self._wake.wait(POLL_SECONDS)
                self._wake.clear()

    def _issue_ripe(self) -> None:
        """Issues, every half minute, the drafts whose grace is over."""
        if time.monotonic() < self._next_ripe:
            return
        self._next_ripe = time.monotonic() + RIPE_SECONDS
        try:
            issue_ripe(
                self._database, now=self._clock(), terms_days=self._terms_days,
                keep_going=lambda: not self._stop.is_set(),
            )  # fmt: skip
        except Exception:
            _log.exception("drafts whose grace is over could not be issued; it is tried again")

    def run_one(self) -> bool:
        """True when a job was found and worked on."""
        if not self._database.read(lambda connection: job_store.unfinished(connection, JOB_KINDS)):
            return False
        job = self._database.write(
            lambda connection: job_store.lease(
                connection, holder=self._holder, now=self._clock(), seconds=self._lease_seconds
            )
        )
        if job is None:
            return False
        with bound(job_id=job.job_id.hex, job=job.kind):
            _log.info("job begun", extra={"attempt": job.attempts})
            try:
                self._run(job)
            except Exception as error:
                metrics.JOB_FAILURES.labels(job.kind).inc()
                delay = self._backoff(job)
                _log.exception("job broke off and is tried again", extra={"seconds": delay})
                self._give_back(job, problem=f"{type(error).__name__}: {error}"[:500], delay=delay)
            else:
                _log.info("job left")
        return True

    def _run(self, job: Job) -> None:
        if job.kind in CATALOG_KINDS:
            run_job(
                self._database, self._cache, job, holder=self._holder, clock=self._clock, future=self._future,
                lease_seconds=self._lease_seconds, may_go_on=lambda: not self._stop.is_set(),
            )  # fmt: skip
            return
        # What was posted before a meter was made is counted before it is billed.
        run_catalog_jobs(
            self._database, self._cache, clock=self._clock, future=self._future, lease_seconds=self._lease_seconds,
            budget_seconds=LONGEST_BEFORE_BILLING_SECONDS, stopping=self._stop.is_set,
        )  # fmt: skip
        if self._bring_on(job):
            self._database.write(lambda connection: job_store.finish(connection, job.job_id, holder=self._holder))
        elif self._stop.is_set():
            self._give_back(job, problem="", delay=0)

    def _bring_on(self, job: Job) -> bool:
        """True when the job is done."""
        if job.kind == run_simulations.JOB_KIND:
            return run_simulations.run_simulation(
                self._database, UUID(job.payload["simulation_id"]), keep_going=lambda: self._extend(job)
            )
        done = run_billing.run_billing(
            self._database, UUID(job.payload["run_id"]), clock=self._clock, terms_days=self._terms_days,
            keep_going=lambda: self._extend(job),
        )  # fmt: skip
        return done is not None

    def _extend(self, job: Job) -> bool:
        if self._stop.is_set():
            return False
        return self._database.write(
            lambda connection: job_store.extend(
                connection, job.job_id, holder=self._holder, now=self._clock(), seconds=self._lease_seconds
            )
        )

    def _give_back(self, job: Job, *, problem: str, delay: float) -> None:
        due_at = self._clock() + timedelta(seconds=delay)
        self._database.write(
            lambda connection: job_store.postpone(
                connection, job.job_id, holder=self._holder, due_at=due_at, problem=problem
            )
        )

    @staticmethod
    def _backoff(job: Job) -> float:
        return min(2.0 ** min(job.attempts, 10), _LONGEST_BACKOFF_SECONDS)
