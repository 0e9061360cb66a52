"""Requests that wait while a transaction runs share the next one: a commit costs as much for one event as for many.

    32 clients send one event each: while the first is written, 31 wait; the second transaction takes them all.

Nothing is waited for on purpose: a request that finds no other is written at once and alone. A request is answered
when its own transaction has committed, and has its own outcome: one that cannot be read, or that fails on its own,
leaves the others of its group as they were. A post in the background waits until nothing else does, or for a few
groups, and is written alone. This is the one place where the asynchronous server meets the synchronous rest.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.domain.errors import Overloaded
from app.observability import metrics

Post = TypeVar("Post")
Result = TypeVar("Result")

SMALL_GROUP_BYTES = 64 * 1024
"""Less than this is written by one transaction at a time: the next shares what comes meanwhile."""
MAX_GROUP_BYTES = 2 * 1024 * 1024
"""What a group may hold when it holds more than one request: about ten thousand events."""
MAX_GROUP_BYTES_OF_MANY = 256 * 1024
"""The same where there are several writers: each takes little, so that all have something to do."""

BACKGROUND_WAITS_GROUPS = 8
"""So many groups may be written while a post in the background waits; then it is its turn."""


@dataclass(eq=False)
class _Waiting(Generic[Post, Result]):
    post: Post
    size: int
    future: asyncio.Future[Result]
    background: bool
    since: float = field(default_factory=time.perf_counter)


class Room:
    """The memory that one request takes while it is read and waits."""

    def __init__(self, intake: GroupCommit[Post, Result]) -> None:
        self._intake = intake
        self.size = 0

    def take(self, size: int) -> None:
        """Raises Overloaded where all requests together would take more than there is room for."""
        self._intake.reserve(size)
        self.size += size


class GroupCommit(Generic[Post, Result]):
    """Hands groups of posts to `write`, in threads of its own; `write` gives a result or an exception for each.

    The posts of one client are taken in the order in which they came; clients take turns. `max_bytes` bounds what is
    being read and what waits, of all clients together.
    """

    def __init__(
        self, write: Callable[[Sequence[Post]], Sequence[Result | Exception]], *, writers: int, max_bytes: int
    ) -> None:
        self._write = write
        self._max_bytes = max_bytes
        self._bytes = 0
        self._clients: OrderedDict[str, deque[_Waiting[Post, Result]]] = OrderedDict()
        self._live_bytes = 0
        self._small_is_written = False
        self._background: deque[_Waiting[Post, Result]] = deque()
        self._background_is_written = False
        self._groups_since_background = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._threads = [
            threading.Thread(target=self._run, name=f"quotepart-writer-{number}", daemon=True)
            for number in range(writers)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Writes what waits, then ends."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @contextmanager
    def room(self) -> Iterator[Room]:
        """For as long as a request is here."""
        own = Room(self)
        try:
            yield own
        finally:
            with self._changed:
                self._bytes -= own.size

    def reserve(self, size: int) -> None:
        with self._changed:
            if self._bytes + size > self._max_bytes:
                raise Overloaded("More is being sent than can be written right now; send it again in a moment.")
            self._bytes += size

    async def submit(self, post: Post, *, client: str, size: int, background: bool = False) -> Result:
        """The post's result, once its transaction has committed. Raises what became of it otherwise."""
        waiting = _Waiting[Post, Result](post, size, asyncio.get_running_loop().create_future(), background)
        with self._changed:
            (self._background if background else self._clients.setdefault(client, deque())).append(waiting)
            self._live_bytes += 0 if background else size
            metrics.WAITING.inc()
            self._changed.notify()
        return await waiting.future

    def _run(self) -> None:
        while group := self._next_group():
            began = time.perf_counter()
            results = self._results([item.post for item in group])
            metrics.GROUP_REQUESTS.observe(len(group))
            metrics.GROUP_SECONDS.observe(time.perf_counter() - began)
            for item in group:
                metrics.WAIT_SECONDS.observe(began - item.since)
            self._written(group)
            _deliver(group, results)

    def _written(self, group: Sequence[_Waiting[Post, Result]]) -> None:
        with self._changed:
            if group[0].background:
                self._background_is_written = False
            elif sum(item.size for item in group) < SMALL_GROUP_BYTES:
                self._small_is_written = False
            self._changed.notify_all()

    def _next_group(self) -> list[_Waiting[Post, Result]]:
        """One request of each client in turn, as many as fit; nothing once there is nothing left and it is to stop."""
        with self._changed:
            while not (self._live_may_go or self._background_may_go or (self._stopping and not self._background)):
                self._changed.wait()
            if self._background_may_go and (
                not self._live_may_go or self._groups_since_background >= BACKGROUND_WAITS_GROUPS
            ):
                return [self._take_background()]
            self._groups_since_background += 1
            group: list[_Waiting[Post, Result]] = []
            size = 0
            while self._clients:
                client, queue = self._clients.popitem(last=False)
                if group and size + queue[0].size > self._max_group_bytes:
                    self._clients[client] = queue
                    self._clients.move_to_end(client, last=False)
                    break
                item = queue.popleft()
                if queue:
                    self._clients[client] = queue
                group.append(item)
                size += item.size
            self._live_bytes -= size
            self._small_is_written |= bool(group) and size < SMALL_GROUP_BYTES
            metrics.WAITING.dec(len(group))
            return group

    @property
    def _max_group_bytes(self) -> int:
        return MAX_GROUP_BYTES if len(self._threads) == 1 else min(MAX_GROUP_BYTES, MAX_GROUP_BYTES_OF_MANY)

    @property
    def _live_may_go(self) -> bool:
        """Not while another small group is written: what waits is worth more together than a transaction beside it."""
        alone = not self._small_is_written or self._stopping
        return bool(self._clients) and (alone or self._live_bytes >= SMALL_GROUP_BYTES)

    @property
    def _background_may_go(self) -> bool:
        """One at a time: where there are two writers, one is always left for the others."""
        return bool(self._background) and not self._background_is_written

    def _take_background(self) -> _Waiting[Post, Result]:
        self._background_is_written, self._groups_since_background = True, 0
        metrics.WAITING.dec()
        return self._background.popleft()

    def _results(self, posts: Sequence[Post]) -> Sequence[Result | Exception]:
        """Of a group that fails as a whole each post is tried alone: only the one at fault fails."""
        try:
            return self._write(posts)
        except Exception as error:
            if len(posts) == 1:
                return [error]
            return [self._results([post])[0] for post in posts]


def _deliver(group: Sequence[_Waiting[Post, Result]], results: Sequence[Result | Exception]) -> None:
    """Gives each its result, in the loop that waits for it: one call for all of a loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Waiting[Post, Result], Result | Exception]]] = {}
    for item, result in zip(group, results, strict=True):
        by_loop.setdefault(item.future.get_loop(), []).append((item, result))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, pairs)


def _settle(pairs: Sequence[tuple[_Waiting[Post, Result], Result | Exception]]) -> None:
    for item, result in pairs:
        if item.future.done():  # whoever asked has gone; what was written stays written
            continue
        if isinstance(result, Exception):
            item.future.set_exception(result)
        else:
            item.future.set_result(result)
