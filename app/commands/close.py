"""`quotepart close`: everything that is due, billed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer
from sqlalchemy.engine import Connection

from app.commands.terminal import AsJson, Quiet, bar, err, instant, now, opened, out, show
from app.domain.events import instant_text
from app.garbage import collect_less_often
from app.operations.run_billing import find_run, run_billing, start_billing_run
from app.operations.run_catalog_jobs import LONGEST_BEFORE_BILLING_SECONDS, run_catalog_jobs
from app.settings import Settings
from app.storage import billing_store, job_store
from app.storage.billing_store import BillingRun
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database

commands = typer.Typer()


@commands.command()
def close(
    through: Annotated[str, typer.Option(help="an RFC 3339 instant, or a date as midnight UTC")],
    issue: Annotated[bool, typer.Option(help="issue the documents, not only draft them")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what is due")] = False,
    tenant: Annotated[list[str] | None, typer.Option(help="only this tenant; may be repeated")] = None,
    plan: Annotated[list[str] | None, typer.Option(help="only this plan; may be repeated")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bill every period that has ended at or before an instant and is not issued yet."""
    settings = Settings.from_environment()
    collect_less_often()
    with opened(settings) as database:
        run = close_all(
            database, settings, through=instant(through), issue=issue, dry_run=dry_run,
            tenants=tuple(tenant or ()), plans=tuple(plan or ()), quiet=quiet,
        )  # fmt: skip
    show(_run_facts(run), as_json=as_json, otherwise=lambda: None if quiet and not run.failures else show_run(run))
    if run.failures:  # a correction that failed is not a period, and is a failure all the same
        raise typer.Exit(1)


def close_all(
    database: Database, settings: Settings, *, through: datetime, issue: bool = True, dry_run: bool = False,
    tenants: tuple[str, ...] = (), plans: tuple[str, ...] = (), quiet: bool = False,
) -> BillingRun:  # fmt: skip
    """A billing run done in this process, with a progress bar; a worker finishes it should this process die."""
    run, job_id = start_billing_run(
        database, through=through, issue=issue, dry_run=dry_run, now=now(), tenants=tenants, plans=plans
    )
    holder, seconds = f"close-{os.getpid()}-{run.run_id.hex}", settings.lease_seconds
    try:
        run_catalog_jobs(
            database, CatalogCache(), clock=now, future=timedelta(seconds=settings.future_seconds),
            lease_seconds=seconds, budget_seconds=LONGEST_BEFORE_BILLING_SECONDS,
        )  # fmt: skip
        with bar(quiet=quiet) as shown:
            task = shown.add_task("billing periods", total=None)
            return _bring_to_end(
                database, settings, run.run_id, job_id, holder=holder,
                progress=lambda state: shown.update(
                    task, total=state.periods_due, completed=state.closed + state.failed
                ),
            )  # fmt: skip
    except KeyboardInterrupt:
        database.write(lambda connection: _give_up(connection, run.run_id, job_id, holder=holder))
        err.print("Stopped. What is billed stays billed; another run goes on from there.")
        raise


def _bring_to_end(
    database: Database, settings: Settings, run_id: UUID, job_id: UUID, *, holder: str,
    progress: Callable[[BillingRun], None],
) -> BillingRun:  # fmt: skip
    """The run when it is no longer at work. A worker of a service may be quicker to take it, and may give it back."""

    def lease(connection: Connection) -> bool:
        return job_store.lease(connection, holder=holder, now=now(), seconds=seconds, job_id=job_id) is not None

    def extend(connection: Connection) -> bool:
        return job_store.extend(connection, job_id, holder=holder, now=now(), seconds=seconds)

    seconds = settings.lease_seconds
    while True:
        found = find_run(database, run_id)
        assert found is not None
        if found.status != "running":
            return found
        if not database.write(lease):
            progress(found)
            time.sleep(0.5)
            continue
        done = run_billing(
            database, run_id, clock=now, terms_days=settings.payment_terms_days, progress=progress,
            keep_going=lambda: database.write(extend),
        )  # fmt: skip
        if done is not None:
            database.write(lambda connection: job_store.finish(connection, job_id, holder=holder))


def _give_up(connection: Connection, run_id: UUID, job_id: UUID, *, holder: str) -> None:
    """Nobody goes on with the run, unless somebody else is at it: it was stopped by whoever began it."""
    job_store.lease(connection, holder=holder, now=now(), seconds=1, job_id=job_id)  # where nobody has it yet
    found = billing_store.find_run(connection, run_id)
    if found is not None and job_store.finish(connection, job_id, holder=holder, problem="stopped"):
        billing_store.save_run(connection, replace(found, status="failed"))


def _run_facts(run: BillingRun) -> dict[str, Any]:
    return {
        "id": str(run.run_id), "status": run.status, "through": instant_text(run.through),
        "periods_due": run.periods_due, "closed": run.closed, "failed": run.failed, "failures": list(run.failures),
        "unpriced": list(run.unpriced), "unbilled": list(run.unbilled), "withheld": list(run.withheld),
    }  # fmt: skip


def show_run(run: BillingRun) -> None:
    out.print(f"{run.periods_due} periods due, {run.closed} closed, {run.failed} failed.")
    for failure in run.failures:
        err.print(f"  {failure['subscription']}: {failure['detail']}", markup=False, soft_wrap=True)
    for item in run.withheld:
        why = "is on hold" if item["reason"] == "held" else "has not been approved"
        err.print(f"  {item['subscription']}: the draft {item['invoice']} {why}", markup=False, soft_wrap=True)
    if run.unpriced:
        err.print(f"{len(run.unpriced)} stretches of usage have no price; `quotepart audit` lists them.")
    if run.unbilled:
        err.print(
            f"{len(run.unbilled)} differences of late usage are not billed, by policy; `quotepart audit` lists them."
        )
