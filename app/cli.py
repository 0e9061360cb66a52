"""The `quotepart` command. Progress goes to stderr, results to stdout; exit codes: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from app.domain.callers import SCOPES
from app.domain.errors import BillingError, InvalidInput
from app.domain.events import instant_text, parse_instant
from app.operations.audit_books import Audit, audit_books
from app.operations.authenticate import create_key
from app.operations.run_billing import run_billing, start_billing_run
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.settings import InvalidSetting, Settings
from app.storage import billing_store
from app.storage.billing_store import BillingRun
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.migrate import upgrade

commands = typer.Typer(no_args_is_help=True, add_completion=True, help="Metered pay-per-use billing.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
commands.add_typer(keys, name="keys")

out = Console()
err = Console(stderr=True)


def main() -> None:
    """The command with its errors as one readable line."""
    try:
        commands()
    except BillingError as error:
        _fail(error)
    except InvalidSetting as error:
        err.print(f"[red]error[/]: {error}", highlight=False)
        sys.exit(2)


def _fail(error: BillingError) -> None:
    err.print(f"[red]error[/]: {error.detail}", highlight=False, markup=True)
    if isinstance(error, InvalidInput):
        for problem in error.problems:
            err.print(f"  {problem.pointer}: {problem.detail}", highlight=False, markup=False)
    sys.exit(1)


def _now() -> datetime:
    return datetime.now(UTC)


def _bar() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, disable=not err.is_terminal,
    )  # fmt: skip


def _open(settings: Settings) -> Database:
    from app.main import SchemaBehind, check_schema

    try:
        check_schema(settings.database_url)
    except SchemaBehind as error:
        err.print(f"[red]error[/]: {error}", highlight=False)
        raise typer.Exit(1) from error
    return Database.open(settings.database_url)


@commands.command()
def serve(host: str = "127.0.0.1", port: int = 8000, workers: Annotated[int, typer.Option(min=1)] = 1) -> None:
    """Serve the HTTP API, and run its jobs beside it."""
    settings = Settings.from_environment()
    _open(settings).close()
    if workers > 1 and "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        # Each worker counts for itself; the scrape adds the counts up from this directory.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="quotepart-metrics-")
    uvicorn.run(
        "app.main:create_app", factory=True, host=host, port=port, workers=workers, log_level="info",
        timeout_graceful_shutdown=30, access_log=False,
    )  # fmt: skip


@commands.command()
def migrate() -> None:
    """Bring the database to the schema of this version; does nothing where it is there already."""
    settings = Settings.from_environment()
    upgrade(settings.database_url)
    err.print("The database is at the newest schema.")


@commands.command()
def close(
    through: Annotated[str, typer.Option(help="an RFC 3339 instant, or a date as midnight UTC")],
    issue: Annotated[bool, typer.Option(help="issue the documents, not only draft them")] = True,
    dry_run: Annotated[bool, typer.Option(help="only say what is due")] = False,
    tenant: Annotated[list[str] | None, typer.Option(help="only this tenant; may be repeated")] = None,
    plan: Annotated[list[str] | None, typer.Option(help="only this plan; may be repeated")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the run as JSON on stdout")] = False,
) -> None:
    """Bill every period that has ended at or before an instant and is not issued yet."""
    settings = Settings.from_environment()
    database = _open(settings)
    run = close_all(
        database, settings, through=_instant(through), issue=issue, dry_run=dry_run,
        tenants=tuple(tenant or ()), plans=tuple(plan or ()),
    )  # fmt: skip
    database.close()
    if as_json:
        print(json.dumps(_run_facts(run), indent=2))
    else:
        _show_run(run)
    if run.failed:
        raise typer.Exit(1)


def _instant(text: str) -> datetime:
    try:
        return parse_instant(f"{text}T00:00:00Z" if len(text) == 10 else text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def close_all(
    database: Database, settings: Settings, *, through: datetime, issue: bool = True, dry_run: bool = False,
    tenants: tuple[str, ...] = (), plans: tuple[str, ...] = (),
) -> BillingRun:  # fmt: skip
    """A billing run done in this process, with a progress bar; a worker finishes it should this process die."""
    from app.storage import job_store

    run, job_id = start_billing_run(
        database, through=through, issue=issue, dry_run=dry_run, now=_now(), tenants=tenants, plans=plans
    )
    holder, seconds = f"close-{os.getpid()}-{run.run_id.hex}", settings.lease_seconds
    leased = database.write(
        lambda connection: job_store.lease(connection, holder=holder, now=_now(), seconds=seconds, job_id=job_id)
    )
    run_catalog_jobs(
        database, CatalogCache(), clock=_now, future=timedelta(seconds=settings.future_seconds), lease_seconds=seconds
    )
    with _bar() as bar:
        task = bar.add_task("billing periods", total=None)

        def show(state: BillingRun) -> None:
            bar.update(task, total=state.periods_due, completed=state.closed + state.failed)

        done = None
        if leased is not None:
            done = run_billing(
                database, run.run_id, clock=_now, terms_days=settings.payment_terms_days, progress=show,
                keep_going=lambda: database.write(
                    lambda connection: job_store.extend(
                        connection, job_id, holder=holder, now=_now(), seconds=seconds
                    )
                ),
            )  # fmt: skip
    if done is not None:
        database.write(lambda connection: job_store.finish(connection, job_id))
        return done
    return _wait_for(database, run)


def _wait_for(database: Database, run: BillingRun) -> BillingRun:
    """The run as a worker of a service on the same database brings it to its end."""
    import time

    while True:
        found = database.read(lambda connection: billing_store.find_run(connection, run.run_id))
        assert found is not None
        if found.status != "running":
            return found
        time.sleep(0.2)


def _run_facts(run: BillingRun) -> dict[str, Any]:
    return {
        "id": str(run.run_id), "status": run.status, "through": instant_text(run.through),
        "periods_due": run.periods_due, "closed": run.closed, "failed": run.failed, "failures": list(run.failures),
        "unpriced": list(run.unpriced),
    }  # fmt: skip


def _show_run(run: BillingRun) -> None:
    out.print(f"{run.periods_due} periods due, {run.closed} closed, {run.failed} failed.", highlight=False)
    for failure in run.failures:
        err.print(f"  {failure['subscription']}: {failure['detail']}", highlight=False, markup=False)
    if run.unpriced:
        err.print(f"{len(run.unpriced)} stretches of usage have no price; `quotepart audit` lists them.")


@commands.command()
def audit(as_json: Annotated[bool, typer.Option("--json", help="the audit as JSON on stdout")] = False) -> None:
    """Recompute everything from the events; exit 1 where anything differs."""
    database = _open(Settings.from_environment())
    with _bar() as bar:
        task = bar.add_task("audit", total=None)
        found = audit_books(
            database, now=_now(), progress=lambda what, count: bar.update(task, description=what, completed=count)
        )
    database.close()
    if as_json:
        print(json.dumps(audit_facts(found), indent=2))
    else:
        show_audit(found)
    if not found.is_clean:
        raise typer.Exit(1)


def audit_facts(found: Audit) -> dict[str, Any]:
    return {
        "clean": found.is_clean, "events": found.events, "buckets": found.buckets, "lines": found.lines,
        "documents": found.documents, "building": found.building, "unpriced": found.unpriced,
        "differences": [
            {"table": item.table, "row": item.row, "what": item.what, "expected": item.expected, "found": item.found}
            for item in found.differences
        ],
    }  # fmt: skip


def show_audit(found: Audit) -> None:
    out.print(
        f"{found.events} events, {found.buckets} buckets, {found.lines} lines, {found.documents} documents: "
        f"{'clean' if found.is_clean else f'{len(found.differences)} differences'}.",
        highlight=False,
    )
    if found.differences:
        table = Table("table", "row", "what", "expected", "found")
        for item in found.differences:
            row = " ".join(f"{name}={value}" for name, value in item.row.items())
            table.add_row(item.table, row, item.what, item.expected, item.found)
        out.print(table)
    if found.unpriced:
        table = Table("tenant", "meter", "from", "to", "quantity", "unit", title="Usage that nothing prices")
        for entry in found.unpriced:
            table.add_row(*(str(entry[name]) for name in ("tenant", "meter", "start", "end", "quantity", "unit")))
        out.print(table)


@keys.command("create")
def keys_create(
    scope: Annotated[str, typer.Option(help=" | ".join(SCOPES))],
    tenant: Annotated[str, typer.Option(help="bind the key to this tenant")] = "",
    name: Annotated[str, typer.Option(help="what it is for")] = "",
) -> None:
    """Make an API key; it is shown this once."""
    if scope not in SCOPES:
        raise typer.BadParameter(f"scope must be one of {', '.join(SCOPES)}")
    database = _open(Settings.from_environment())
    print(create_key(database, scope=scope, tenant=tenant, name=name, now=_now()))
    database.close()


@commands.command()
def openapi(output: Path) -> None:
    """Write the OpenAPI document."""
    from app.main import openapi_text

    output.write_text(openapi_text())
