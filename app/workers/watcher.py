"""Keeps up with the alerts, in a thread of every process: each notes whose events it took, one looks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from app.operations.run_catalog_jobs import new_holder
from app.operations.watch_alerts import AlertWatch
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database

_log = logging.getLogger("quotepart.alerts")

EVERY_SECONDS = 1.0


class Watcher:
    """Notes, and with `looks` looks too, every second until it is told to stop."""

    def __init__(
        self, database: Database, cache: CatalogCache, *, clock: Callable[[], datetime], lease_seconds: int,
        looks: bool,
    ) -> None:  # fmt: skip
        self._watch = AlertWatch(database, cache, holder=new_holder(), lease_seconds=lease_seconds)
        self._clock = clock
        self._looks = looks
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self.run, name="quotepart-alerts", daemon=True)
        self._thread.start()

    def stop(self, timeout_seconds: float = 10) -> None:
        """Lets the transaction in hand finish, and writes down what was not noted yet."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout_seconds)

    def run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._once()
        self._once(last=True)

    def _once(self, *, last: bool = False) -> None:
        try:
            self._watch.note(self._clock())
            if self._looks and not last:
                self._watch.look(self._clock())
        except Exception:
            _log.exception("the alerts could not be looked at; it is tried again")
