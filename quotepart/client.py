"""How does a producer send usage and never wait for the network, lose an event or count one twice?

`send` writes the event down in a local file, the spool, and returns. A thread sends what waits there, and again until
the service has answered for it. The id is made before the first try, so that a repeat is a duplicate and counts once:
of 1 000 events sent, with the answer to the first batch lost, the service counts 1 000.

    with Client("http://127.0.0.1:8000", api_key=key, spool="usage.spool") as client:
        client.send(type="laser.job.ended", source="/laser-1", subject="acme", data={"hours": Decimal("2.5")})

A client may be used from many threads, and in every process after a fork.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import random
import threading
import time as clock
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from uuid import uuid4

import httpx

from quotepart.events import event_text
from quotepart.posting import OUTCOMES, Answered, Refused, Unanswered, connect, post
from quotepart.spool import Spool, SpoolFull, SpoolUnusable, Waiting

__all__ = ["Client", "Counters", "NotAccepted", "Pace", "SpoolFull", "SpoolUnusable"]

log = logging.getLogger(__name__)

_LONGEST_RETRY_AFTER_SECONDS = 3600.0
_LOOK_SECONDS = 0.02
"""How often `flush` looks whether all is settled, which another process may have done."""
_STOP_SECONDS = 1.0
"""How long `close` waits for a request that is under way; its answer, if it comes later, is heard by nobody."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How events are put together into requests, and how long the pauses between them are.

    An event is sent when `linger_seconds` have passed, or at once when as many wait as fill a batch. After a failure
    the pause is drawn between nothing and a ceiling that starts at `first_pause_seconds` and doubles each time up to
    `longest_pause_seconds`, so that clients that failed together do not return together; what the service asks for
    (`Retry-After`) comes on top. Where a person must do something, as with a key that is not known, it is
    `lasting_pause_seconds`.
    """

    batch_events: int = 1_000
    batch_bytes: int = 1024 * 1024
    linger_seconds: float = 1.0
    request_seconds: float = 30.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 60.0
    lasting_pause_seconds: float = 60.0

    def pause_seconds(self, attempt: int, failure: Unanswered) -> float:
        """The wait after the `attempt`th failure in a row (from 1)."""
        if failure.is_lasting:
            return self.lasting_pause_seconds
        ceiling = min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(attempt - 1, 30))
        pause = random.uniform(0, ceiling)  # noqa: S311 - spreads retries, no secret
        return pause + min(failure.retry_after_seconds or 0.0, _LONGEST_RETRY_AFTER_SECONDS)


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """An event that the service does not keep: `rejected` for what it is, or in `conflict` with the one it has."""

    status: Literal["rejected", "conflict"]
    event: dict[str, Any]
    problem: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counters:
    """What became of events in this process, since the client was made or the process forked.

    `sent` counts calls of `send`; the next five what the service answered to this process, which also sends what
    others left in the spool. `duplicates` are mostly events whose first answer was lost. `retries` are requests that
    got no answer and had to be made again. `waiting` is what lies in the spool now.
    """

    sent: int
    accepted: int
    duplicates: int
    conflicts: int
    quarantined: int
    rejected: int
    retries: int
    waiting: int


class Client:
    """A producer's connection to a service. What is unsent when it closes stays in the spool for the next one.

    With `fsync`, `send` returns when the event is on disk, and it outlives a loss of power. Without, it outlives the
    process; a loss of power may take the last moments' events. Raises SpoolUnusable where the spool can not be opened,
    and ValueError for what is no address or no key.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        spool: str | Path,
        fsync: bool = False,
        max_waiting: int = 1_000_000,
        close_seconds: float = 5.0,
        on_rejected: Callable[[NotAccepted], None] | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._connect = partial(connect, base_url, api_key=api_key, timeout_seconds=self._pace.request_seconds)
        http = self._connect()
        self._close_seconds = close_seconds
        self._on_rejected = on_rejected
        try:
            self._spool = Spool(Path(spool).absolute(), fsync=fsync, max_waiting=max_waiting)
        except SpoolUnusable:
            http.close()
            raise
        self._begin()
        _clients.add(self)
        # What an earlier process left in the spool goes first, and now.
        self._start(http)
        atexit.register(self.close)

    def send(
        self,
        *,
        type: str,
        source: str,
        data: Mapping[str, Any],
        subject: str | None = None,
        id: str | None = None,
        time: datetime | None = None,
        resource: str | None = None,
    ) -> str:
        """The id of the event, which is now in the spool and will be sent.

        Without `id` it gets a random one, without `time` this moment. An `id` of your own makes a second `send` of the
        same event a duplicate, and for that its `time` must be the same too. Raises TypeError and ValueError for what
        is no event, SpoolFull, and SpoolUnusable where it can not be written down. A network that is down is no error.
        """
        own_id = str(uuid4()) if id is None else id
        text = event_text(
            id=own_id, source=source, type=type, subject=subject, time=time or datetime.now(UTC), resource=resource,
            data=data,
        )  # fmt: skip
        self._spool.add(text)
        with self._lock:
            self._counts["sent"] += 1
            self._new.add(text)
            if self._new.events >= self._pace.batch_events or self._new.bytes >= self._pace.batch_bytes:
                self._wake.set()
        self._start()
        return own_id

    def flush(self, timeout: float) -> bool:
        """True when the service has answered for everything that was sent before, False when `timeout` seconds have
        passed. Events of other processes in the same spool count as well."""
        deadline = clock.monotonic() + timeout
        last = self._spool.last()
        self._start()
        self._wake.set()
        while not self._spool.is_settled(last):
            left = deadline - clock.monotonic()
            if left <= 0:
                return False
            clock.sleep(min(_LOOK_SECONDS, left))
        return True

    def counters(self) -> Counters:
        waiting = self._spool.waiting()
        with self._lock:
            return Counters(**{name: self._counts[name] for name in ("sent", *OUTCOMES, "retries")}, waiting=waiting)

    def close(self) -> None:
        """What was sent is flushed for `close_seconds`; what is left stays in the spool. Nothing can be sent after."""
        if self not in _clients:
            return
        if self._thread is not None:
            if not self.flush(self._close_seconds):
                log.warning("%d events wait in %s for the next start", self._spool.waiting(), self._spool.path)
            self._stop.set()
            self._wake.set()
            self._thread.join(_STOP_SECONDS)
        self._spool.close()
        _clients.discard(self)
        atexit.unregister(self.close)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- the thread that sends ---------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """What a process has for itself: it neither counts nor waits for what another did."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._counts: Counter[str] = Counter()
        self._new = _New()

    def _start(self, http: httpx.Client | None = None) -> None:
        """The thread runs; after a fork it begins with the first use."""
        with self._lock:
            if self._thread is None:
                arguments = (http or self._connect(),)
                self._thread = threading.Thread(target=self._work, args=arguments, name="quotepart", daemon=True)
                self._thread.start()

    def _work(self, http: httpx.Client) -> None:
        with http:
            while not self._stop.is_set():
                try:
                    self._drain(http)
                except Exception:
                    # The disk is full, or something nobody thought of: events wait, and the thread must go on. After
                    # `close` there is no spool to settle them in, and the next start sends them again.
                    if not self._stop.is_set():
                        log.exception("events in %s could not be sent; they are kept", self._spool.path)
                        self._stop.wait(self._pace.longest_pause_seconds)
                self._wake.wait(self._pace.linger_seconds)

    def _drain(self, http: httpx.Client) -> None:
        """Everything that waited at the start is settled, unless another process has the turn to send."""
        self._wake.clear()
        with self._lock:
            self._new = _New()
        with self._spool.turn():
            through, attempt, most = self._spool.last(), 0, self._pace.batch_events
            while self._spool.has_turn() and not self._stop.is_set():
                batch = self._spool.oldest(through=through, max_events=most, max_bytes=self._pace.batch_bytes)
                if not batch:
                    return
                answer = post(http, [event.text for event in batch])
                match answer:
                    case Unanswered():
                        attempt += 1
                        self._pause(attempt, answer)
                    case Refused() if len(batch) > 1:
                        # Too many, too large, or one that nobody can read: its neighbours are not to suffer for it.
                        most = len(batch) // 2
                    case Refused():
                        self._settle(batch, _refusal_of_one(answer))
                        attempt, most = 0, self._pace.batch_events
                    case Answered():
                        self._settle(batch, answer)
                        attempt, most = 0, min(2 * most, self._pace.batch_events)

    def _pause(self, attempt: int, failure: Unanswered) -> None:
        seconds = self._pace.pause_seconds(attempt, failure)
        level = logging.ERROR if failure.is_lasting else logging.WARNING
        log.log(level, "events wait: %s; sent again in %.1f s (failure %d)", failure.reason, seconds, attempt)
        with self._lock:
            self._counts["retries"] += 1
        self._stop.wait(seconds)

    def _settle(self, batch: Sequence[Waiting], answer: Answered) -> None:
        """The batch waits no more. What the service does not keep is in the `.rejected` file first."""
        told = [_not_accepted(batch[index], item) for index, item in answer.exceptions if item.get("status") in _KEPT]
        if told:
            self._spool.keep_rejected(map(_rejected_line, told))
        self._spool.settle(batch[-1].number)
        with self._lock:
            self._counts.update(answer.counts)
        if answer.counts["quarantined"]:
            reasons = sorted({str(item.get("reason")) for _, item in answer.exceptions if "reason" in item})
            log.warning("%d events in quarantine: %s", answer.counts["quarantined"], ", ".join(reasons))
        for each in told:
            self._tell(each)

    def _tell(self, told: NotAccepted) -> None:
        log.error(
            "event %s of %s: %s: %s; kept in %s", told.event.get("id"), told.event.get("source"), told.status,
            told.problem.get("detail"), self._spool.rejected_path,
        )  # fmt: skip
        if self._on_rejected is None:
            return
        try:
            self._on_rejected(told)
        except Exception:
            log.exception("on_rejected failed")

    # --- forks -------------------------------------------------------------------------------------------------------

    def _before_fork(self) -> None:
        self._lock.acquire()
        self._spool.before_fork()

    def _after_fork_in_parent(self) -> None:
        self._spool.after_fork_in_parent()
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._spool.after_fork_in_child()
        self._begin()


@dataclass(slots=True)
class _New:
    """What was sent since the thread last looked into the spool."""

    events: int = 0
    bytes: int = 0

    def add(self, text: str) -> None:
        self.events += 1
        self.bytes += len(text) + 1


_KEPT = ("rejected", "conflict")
_CONFLICT = "the service has an event with this source and id and other content; the first stays"


def _refusal_of_one(refused: Refused) -> Answered:
    counts = dict.fromkeys(OUTCOMES, 0) | {"rejected": 1}
    return Answered(counts, ((0, {"status": "rejected", "problem": refused.problem}),))


def _not_accepted(event: Waiting, item: dict[str, Any]) -> NotAccepted:
    problem = item.get("problem")
    if not isinstance(problem, dict):
        problem = {"detail": _CONFLICT} if item["status"] == "conflict" else {}
    return NotAccepted(item["status"], json.loads(event.text), problem)


def _rejected_line(told: NotAccepted) -> str:
    return json.dumps({"status": told.status, "event": told.event, "problem": told.problem})


_clients: set[Client] = set()
"""The open clients of this process."""


@dataclass
class _Fork:
    """The clients that a fork under way has stopped; one fork at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: list[Client] = field(default_factory=list)

    def before(self) -> None:
        self.lock.acquire()
        self.stopped = list(_clients)
        for client in self.stopped:
            client._before_fork()

    def after_in_parent(self) -> None:
        for client in self.stopped:
            client._after_fork_in_parent()
        self.lock.release()

    def after_in_child(self) -> None:
        for client in self.stopped:
            client._after_fork_in_child()
        self.lock.release()


if hasattr(os, "register_at_fork"):
    _fork = _Fork()
    os.register_at_fork(before=_fork.before, after_in_parent=_fork.after_in_parent, after_in_child=_fork.after_in_child)
