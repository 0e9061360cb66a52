"""Jobs: work that outlives the request that asked for it, leased by one process at a time.

A lease is a plain UPDATE with an end. Whoever holds it extends it while working; when its process dies the lease runs
out, and the next to ask takes the job over where its progress stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from app.domain.ids import new_id
from app.storage.tables import jobs
from app.storage.types import Instant


@dataclass(frozen=True, slots=True)
class Job:
    job_id: UUID
    kind: str
    payload: dict[str, Any]
    progress: dict[str, Any]
    status: str
    attempts: int
    problem: str
    created_at: datetime


def enqueue(connection: Connection, kind: str, payload: dict[str, Any], now: datetime) -> UUID:
    """Writes a waiting job in the caller's transaction; it is seen by workers once that commits."""
    job_id = new_id()
    connection.execute(
        jobs.insert().values(
            job_id=job_id, kind=kind, payload=json.dumps(payload), progress="{}", status="waiting", due_at=now,
            attempts=0, created_at=now,
        )
    )  # fmt: skip
    return job_id


def lease(
    connection: Connection, *, holder: str, now: datetime, seconds: int, job_id: UUID | None = None,
    kinds: tuple[str, ...] = (),
) -> Job | None:  # fmt: skip
    """The oldest due job (or the one named) that nobody works on, now this holder's; None where there is none."""
    free = sa.or_(jobs.c.status == "waiting", sa.and_(jobs.c.status == "running", jobs.c.leased_until < now))
    query = sa.select(jobs.c.job_id).where(free, jobs.c.due_at <= now).order_by(jobs.c.created_at, jobs.c.job_id)
    if job_id is not None:
        query = query.where(jobs.c.job_id == job_id)
    if kinds:
        query = query.where(jobs.c.kind.in_(kinds))
    for candidate in connection.execute(query.limit(5)).scalars().all():
        # The condition is asked again: of two that chose the same job, the second updates nothing.
        taken = connection.execute(
            jobs.update()
            .where(jobs.c.job_id == candidate, free)
            .values(
                status="running", leased_by=holder, leased_until=now + timedelta(seconds=seconds),
                attempts=jobs.c.attempts + 1,
            )
        )  # fmt: skip
        if taken.rowcount:
            return find(connection, candidate)
    return None


def extend(connection: Connection, job_id: UUID, *, holder: str, now: datetime, seconds: int) -> bool:
    """True when the lease is still this holder's and now ends later; False when somebody else has taken the job
    over."""
    changed = connection.execute(
        jobs.update()
        .where(jobs.c.job_id == job_id, jobs.c.leased_by == holder, jobs.c.status == "running")
        .values(leased_until=now + timedelta(seconds=seconds))
    )
    return bool(changed.rowcount)


def lock_progress(connection: Connection, job_id: UUID) -> dict[str, Any]:
    """How far the job is, its row locked until the transaction ends. What a worker remembers may be older: it may have
    lost its lease, or its last commit may have come through although the connection did not."""
    text: str = connection.execute(
        sa.select(jobs.c.progress).where(jobs.c.job_id == job_id).with_for_update()
    ).scalar_one()
    found: dict[str, Any] = json.loads(text)
    return found


def save_progress(connection: Connection, job_id: UUID, progress: dict[str, Any]) -> None:
    connection.execute(jobs.update().where(jobs.c.job_id == job_id).values(progress=json.dumps(progress)))


def finish(connection: Connection, job_id: UUID, *, holder: str, problem: str = "") -> bool:
    """Ends the job; False where somebody else has taken it over, and it goes on."""
    changed = connection.execute(
        jobs.update()
        .where(jobs.c.job_id == job_id, jobs.c.leased_by == holder)
        .values(status="failed" if problem else "done", problem=problem, leased_by="", leased_until=None)
    )
    return bool(changed.rowcount)


def postpone(connection: Connection, job_id: UUID, *, holder: str, due_at: datetime, problem: str) -> None:
    """Gives the job back, to be tried again at `due_at`, unless somebody else has taken it over."""
    connection.execute(
        jobs.update()
        .where(jobs.c.job_id == job_id, jobs.c.leased_by == holder)
        .values(status="waiting", problem=problem, due_at=due_at, leased_by="", leased_until=None)
    )


def find(connection: Connection, job_id: UUID) -> Job | None:
    row = connection.execute(sa.select(jobs).where(jobs.c.job_id == job_id)).mappings().first()
    return None if row is None else _job(row)


def unfinished(connection: Connection, kinds: tuple[str, ...]) -> list[Job]:
    """Waiting and running jobs of these kinds, oldest first."""
    query = sa.select(jobs).where(jobs.c.kind.in_(kinds), jobs.c.status.in_(("waiting", "running")))
    rows = connection.execute(query.order_by(jobs.c.created_at, jobs.c.job_id)).mappings()
    return [_job(row) for row in rows]


def backlog(connection: Connection) -> dict[str, tuple[int, datetime]]:
    """By kind: how many jobs are not done, and since when the oldest of them waits."""
    query = sa.select(jobs.c.kind, sa.func.count(), sa.func.min(jobs.c.created_at, type_=Instant))
    rows = connection.execute(query.where(jobs.c.status.in_(("waiting", "running"))).group_by(jobs.c.kind))
    return {row[0]: (row[1], row[2]) for row in rows}


def _job(row: RowMapping) -> Job:
    return Job(
        row["job_id"], row["kind"], json.loads(row["payload"]), json.loads(row["progress"]), row["status"],
        row["attempts"], row["problem"], row["created_at"],
    )  # fmt: skip
