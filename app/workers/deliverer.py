"""Delivers messages, in threads of their own: each to one receiver, so that a slow one holds up nobody else."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from app.domain.deliveries import Channel
from app.operations.deliver_outbox import Receiver, Taken, deliver_outbox, prune_outbox, take_due
from app.operations.run_catalog_jobs import new_holder
from app.outbound.mail import MailServer
from app.outbound.webhooks import Poster
from app.storage.database import Database

_log = logging.getLogger("quotepart.webhooks")

EVERY_SECONDS = 0.5
_MAIL_LEASE = timedelta(minutes=10)
"""Longer than a mail server may take: who is given a mail twice has it twice."""
PRUNE_EVERY_SECONDS = 600


class Deliverer:
    """Looks for due deliveries until it is told to stop, and sends up to `threads` of them at a time. Any number may
    run on one database."""

    def __init__(
        self, database: Database, poster: Poster, mail_server: MailServer | None = None, *,
        clock: Callable[[], datetime], threads: int, lease: timedelta, keep: timedelta,
    ) -> None:  # fmt: skip
        self._database = database
        self._poster = poster
        self._clock = clock
        self._threads = threads
        self._mail_server = mail_server
        self._leases: dict[Channel, timedelta] = {"webhook": lease}
        if mail_server is not None:
            self._leases["email"] = _MAIL_LEASE
        self._keep = keep
        self._holder = new_holder()
        self._stop = threading.Event()
        self._something_ended = threading.Event()
        self._lock = threading.Lock()
        self._busy: Counter[Receiver] = Counter()
        self._in_flight: set[threading.Thread] = set()
        self._prune_at = 0.0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="quotepart-outbox", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 10) -> None:
        """Takes nothing more, and lets what is being sent end."""
        give_up_at = time.monotonic() + timeout_seconds
        self._stop.set()
        self._something_ended.set()
        with self._lock:
            in_flight = list(self._in_flight)
        for thread in ([] if self._thread is None else [self._thread]) + in_flight:
            thread.join(max(0.0, give_up_at - time.monotonic()))

    def run(self) -> None:
        while not self._stop.is_set():
            self._something_ended.clear()
            try:
                taken = self._take()
                self._prune()
            except Exception:
                _log.exception("the outbox could not be looked at; it is tried again")
                taken = []
            for item in taken:
                self._begin(item)
            if not taken and self._something_ended.wait(EVERY_SECONDS):
                # Who has just been sent something may be sent the next.
                continue

    def _take(self) -> list[Taken]:
        with self._lock:
            free, busy = self._threads - len(self._in_flight), dict(self._busy)
        if free <= 0:
            return []
        return take_due(
            self._database, holder=self._holder, now=self._clock(), leases=self._leases, free=free, busy=busy,
        )  # fmt: skip

    def _begin(self, taken: Taken) -> None:
        thread = threading.Thread(target=self._deliver, args=(taken,), name="quotepart-delivery", daemon=True)
        with self._lock:
            self._busy[taken.receiver] += 1
            self._in_flight.add(thread)
        thread.start()

    def _deliver(self, taken: Taken) -> None:
        try:
            deliver_outbox(self._database, taken, self._poster, clock=self._clock, mail_server=self._mail_server)
        except Exception:
            # Nothing is lost: when the lease ends it is due again.
            _log.exception("what came of a delivery could not be written down")
        finally:
            with self._lock:
                self._busy[taken.receiver] -= 1
                self._in_flight.discard(threading.current_thread())
            self._something_ended.set()

    def _prune(self) -> None:
        if time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + PRUNE_EVERY_SECONDS
        before = self._clock() - self._keep
        pruned = prune_outbox(self._database, before=before, keep_going=lambda: not self._stop.is_set())
        if pruned:
            _log.info("old messages deleted", extra={"messages": pruned})
