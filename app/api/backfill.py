"""Events by the million in one body: read as they come, and written a chunk at a time when nothing else is to be.

    5,500 lines come in: six transactions of at most 1,000 events. While one is written, the next is read, and no more:
    whoever sends is held back to the pace of the database.

What is answered for is durable. A body that breaks off may be sent again from its beginning: what was kept of it is
then a duplicate.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request

from app.api.compression import Inflater
from app.api.dependencies import Limits, content_encoding
from app.domain.errors import BodyTooSlow, TooLarge
from app.operations.ingest_events import Outcome, Outcomes

CHUNK_EVENTS = 1_000
CHUNK_BYTES = 1024 * 1024
MOST_LISTED = 1_000
"""How many exceptions an answer lists."""


async def chunks(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """The body's lines, empty ones left out, as many at a time as one transaction takes.

    Raises Malformed, UnsupportedMediaType, TooLarge for a line that is longer than a body may be, and BodyTooSlow.
    """
    lines = _Lines(most=min(CHUNK_EVENTS, limits.max_events), longest=limits.max_body_bytes)
    async for piece in _plain(request, limits.body_seconds):
        for chunk in lines.add(piece):
            yield b"\n".join(chunk)
    for chunk in lines.add(b"\n", last=True):
        yield b"\n".join(chunk)


async def _plain(request: Request, patience_seconds: int) -> AsyncIterator[bytes]:
    encoding = content_encoding(request)
    inflater = None if encoding == "identity" else Inflater(encoding)
    parts = request.stream()
    while True:
        try:
            async with asyncio.timeout(patience_seconds):
                part = await anext(parts, None)
        except TimeoutError as error:
            raise BodyTooSlow(f"No more of the body came within {patience_seconds} seconds.") from error
        if part is None:
            break
        for piece in (part,) if inflater is None else inflater.pieces(part):
            yield piece
    if inflater is not None:
        inflater.finish()


class _Lines:
    """Pieces of text into chunks of whole lines."""

    def __init__(self, *, most: int, longest: int) -> None:
        self._most, self._longest = most, longest
        self._rest = bytearray()
        self._chunk: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes, *, last: bool = False) -> Iterator[list[bytes]]:
        """The chunks that are full with this piece, and what is left of all where it is the last."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = bytes(self._rest) + line
            self._rest.clear()
            if not whole.strip():
                continue
            if self._chunk and self._size + len(whole) > CHUNK_BYTES:
                yield self._taken()
            self._chunk.append(whole)
            self._size += len(whole)
            if len(self._chunk) == self._most:
                yield self._taken()
        self._rest += rest
        if len(self._rest) > self._longest:
            raise TooLarge(f"A line may have at most {self._longest} bytes.", limit_bytes=self._longest)
        if last and self._chunk:
            yield self._taken()

    def _taken(self) -> list[bytes]:
        chunk, self._chunk, self._size = self._chunk, [], 0
        return chunk


@dataclass
class Summary:
    """What became of all events so far: counts, and the first exceptions. A duplicate is counted and not listed."""

    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    exceptions: list[dict[str, Any]] = field(default_factory=list)
    not_listed: int = 0

    def add(self, outcomes: Outcomes, shown: Callable[[int, Outcome], dict[str, Any]]) -> None:
        """Notes the outcomes of the next events; `shown` turns (index, outcome) into an entry of the list."""
        self.counts += outcomes.counts()
        for index, outcome in outcomes.exceptions.items():
            if outcome.status != "duplicate":
                if len(self.exceptions) < MOST_LISTED:
                    self.exceptions.append(shown(self.events + index, outcome))
                else:
                    self.not_listed += 1
        self.events += outcomes.sent
