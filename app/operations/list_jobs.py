"""A job as whoever asked for it sees it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain.events import instant_text
from app.storage import job_store
from app.storage.database import Database
from app.storage.job_store import Job

_INTERNAL = {"at", "id", "tenant", "event", "done", "walked"}


def find_job(database: Database, job_id: UUID) -> Job | None:
    return database.read(lambda connection: job_store.find(connection, job_id))


def job_to_wire(job: Job) -> dict[str, Any]:
    """`status` is running until the job is done or failed; further members tell how far it is."""
    status = "running" if job.status == "waiting" else job.status
    answer = {"id": str(job.job_id), "kind": job.kind, "status": status, "created_at": instant_text(job.created_at)}
    return answer | {name: value for name, value in job.progress.items() if name not in _INTERNAL}
