"""What the operations that change the catalog share: their result, their precondition, and the work they leave behind.

A change of who or what events can be counted for takes the catalog version for itself first, raises it, and queues its
jobs in the same transaction: events measured under an older version are then a closed set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from app.domain.errors import NotFound, PreconditionFailed
from app.storage import job_store, quarantine_store
from app.storage.database import Database
from app.wire.shown import Shown, etag_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Saved:
    """The object as it was (None: it is new) and is. With `left_jobs` older events are to be counted or released."""

    before: Shown | None
    after: Shown
    left_jobs: bool = False

    @property
    def created(self) -> bool:
        return self.before is None

    @property
    def changed(self) -> bool:
        return self.before != self.after


def check_precondition(if_match: str | None, before: Shown | None) -> None:
    """Raises PreconditionFailed unless the object is the one that If-Match names; without If-Match anything goes."""
    if if_match is None:
        return
    tags = [tag.strip() for tag in if_match.split(",")]
    if before is None or ("*" not in tags and etag_of(before) not in tags):
        raise PreconditionFailed("The object is not, or no longer, the one that If-Match names: read it again.")


def write_catalog(database: Database, work: Callable[[Connection], T]) -> T:
    """What `work` returned, once its transaction is durable."""
    try:
        return database.write(work)
    except IntegrityError:
        # Somebody made an object of this key in the same moment. Now it is there to be compared with.
        return database.write(work)


def found_or_missing(found: T | None, noun: str, key: str) -> T:
    if found is None:
        raise NotFound(f"There is no {noun} {key!r}.", key=key)
    return found


def queue_releases(connection: Connection, criteria: Iterable[dict[str, str]], now: datetime) -> bool:
    """Queues a release for each of the criteria that open quarantined events meet; True where there is any."""
    queued = False
    for matching in criteria:
        if quarantine_store.page(connection, matching, limit=1):
            job_store.enqueue(connection, "release_quarantine", matching, now)
            queued = True
    return queued
