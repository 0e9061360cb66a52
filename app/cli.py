"""The `quotepart` command. Progress goes to stderr, results to stdout; exit codes: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import uvicorn
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table

from app import demo as demo_steps
from app.domain.callers import SCOPES
from app.domain.errors import BillingError, InvalidInput
from app.domain.events import instant_text, parse_instant
from app.importing.record import ImportReport
from app.importing.replay import Progress as ImportProgress
from app.importing.replay import connect, run_import
from app.main import SchemaBehind, check_schema, openapi_text
from app.operations.apply_catalog import Applied, apply_catalog
from app.operations.audit_books import Audit, audit_books
from app.operations.authenticate import create_key, revoke_key
from app.operations.run_billing import run_billing, start_billing_run
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.settings import InvalidSetting, Settings
from app.storage import billing_store, job_store
from app.storage.billing_store import BillingRun
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.migrate import upgrade
from app.wire.catalog_file import InvalidCatalogFile

commands = typer.Typer(no_args_is_help=True, add_completion=True, help="Metered pay-per-use billing.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
commands.add_typer(keys, name="keys")

_LONGEST_CATCH_UP_SECONDS = 600

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
def apply(
    file: Path,
    dry_run: Annotated[bool, typer.Option(help="only say what would change")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="the changes as JSON on stdout")] = False,
) -> None:
    """Make the catalog what a YAML document says: shows the difference, then does it, all or nothing."""
    settings = Settings.from_environment()
    database = _open(settings)
    applied = apply_file(database, settings, file, dry_run=dry_run)
    database.close()
    if as_json:
        print(json.dumps([asdict(change) for change in applied.changes], indent=2))
    else:
        show_changes(applied, dry_run=dry_run)


def apply_file(database: Database, settings: Settings, file: Path, *, dry_run: bool = False) -> Applied:
    """The document applied, and events that were posted before it counted. Exits 1 with every fault in it."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {file}: {error}") from error
    try:
        applied = apply_catalog(database, text, name=str(file), now=_now(), dry_run=dry_run)
    except InvalidCatalogFile as error:
        for fault in error.faults:
            err.print(str(fault), highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if not dry_run:
        run_catalog_jobs(
            database, CatalogCache(), clock=_now, future=timedelta(seconds=settings.future_seconds),
            lease_seconds=settings.lease_seconds,
        )  # fmt: skip
    return applied


_SIGNS = {"created": "[green]+[/]", "changed": "[yellow]~[/]", "published": "[green]^[/]"}


def show_changes(applied: Applied, *, dry_run: bool) -> None:
    for change in applied.changes:
        if change.action == "unchanged":
            continue
        out.print(f"{_SIGNS[change.action]} {change.section}/{change.key}", highlight=False)
        if change.action == "changed":
            for path, old, new in change.fields:
                out.print(f"    {path}: {old} -> {new}", highlight=False, markup=False)
    counts = ", ".join(f"{applied.count(action)} {action}" for action in (*_SIGNS, "unchanged"))  # type: ignore[arg-type]
    out.print(f"{'Would be: ' if dry_run else ''}{counts}.", highlight=False)


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
    run, job_id = start_billing_run(
        database, through=through, issue=issue, dry_run=dry_run, now=_now(), tenants=tenants, plans=plans
    )
    holder, seconds = f"close-{os.getpid()}-{run.run_id.hex}", settings.lease_seconds
    leased = database.write(
        lambda connection: job_store.lease(connection, holder=holder, now=_now(), seconds=seconds, job_id=job_id)
    )
    run_catalog_jobs(
        database, CatalogCache(), clock=_now, future=timedelta(seconds=settings.future_seconds), lease_seconds=seconds,
        budget_seconds=_LONGEST_CATCH_UP_SECONDS,
    )  # fmt: skip
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
    scope: Annotated[list[str], typer.Option(help=" | ".join(SCOPES) + "; may be repeated")],
    tenant: Annotated[str, typer.Option(help="bind the key to this tenant")] = "",
    name: Annotated[str, typer.Option(help="what it is for")] = "",
) -> None:
    """Make an API key; it is shown this once."""
    if not set(scope) <= set(SCOPES):
        raise typer.BadParameter(f"scope must be one of {', '.join(SCOPES)}")
    database = _open(Settings.from_environment())
    print(create_key(database, scopes=scope, tenant=tenant, name=name, now=_now()))
    database.close()


@keys.command("revoke")
def keys_revoke(key: Annotated[str, typer.Argument(help="the key, or the part of it between the underscores")]) -> None:
    """Make a key open nothing from now on."""
    database = _open(Settings.from_environment())
    revoked = revoke_key(database, key, now=_now())
    database.close()
    if not revoked:
        err.print("[red]error[/]: there is no such key that is still in force")
        raise typer.Exit(1)
    err.print("The key is revoked.")


@commands.command()
def openapi(output: Annotated[Path, typer.Option(help="the file to write")]) -> None:
    """Write the OpenAPI document."""
    output.write_text(openapi_text())


@commands.command("import")
def import_(
    file: Path,
    mapping: Annotated[Path, typer.Option(help="how a row becomes events (YAML)")],
    url: Annotated[str, typer.Option(help="the running service")] = "http://127.0.0.1:8000",
    batch_size: Annotated[int, typer.Option(min=1, max=10_000)] = 1000,
    report: Annotated[Path | None, typer.Option(help="where to write the rows that were not accepted")] = None,
    state: Annotated[Path | None, typer.Option(help="where to remember how far it is")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the report as JSON on stdout")] = False,
) -> None:
    """Send a file of usage to a running service; the key comes from QUOTEPART_API_KEY."""
    settings = Settings.from_environment()
    key = settings.api_key or settings.bootstrap_key
    if not key:
        err.print("[red]error[/]: set QUOTEPART_API_KEY to a key with the ingest scope (`quotepart keys create`)")
        raise typer.Exit(2)
    with connect(url) as client, import_bar() as on_progress:
        done = run_import(
            file, mapping, client=client, key=key, batch_size=batch_size, on_progress=on_progress, state_path=state,
            report_path=report,
        )  # fmt: skip
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        show_import(done)


@contextmanager
def import_bar() -> Iterator[Callable[[ImportProgress], None]]:
    """A bar over the file's bytes: how many rows it has is known at its end only."""
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=err, disable=not err.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("sending events", total=None)
        yield lambda state: bar.update(task, total=state.bytes_total, completed=state.bytes_read)


def show_import(done: ImportReport) -> None:
    table = Table("what became of the file", Column("number", justify="right"))
    for name, number in asdict(done).items():
        table.add_row(name, str(number))
    out.print(table)


@commands.command()
def demo(
    directory: Annotated[Path, typer.Option(help="where it keeps its database and files")] = Path("demo"),
) -> None:
    """Real charging sessions to issued invoices, on this machine: the whole path."""
    try:
        run_demo(demo_steps.Paths(directory))
    except (demo_steps.DemoFailed, httpx.HTTPError) as error:
        err.print(f"[red]error[/]: {error}", highlight=False)
        raise typer.Exit(1) from error


def run_demo(paths: demo_steps.Paths) -> None:
    """The demo, step by step. Raises DemoFailed where a figure is not what it must be."""
    if not demo_steps.SESSIONS.exists():
        raise demo_steps.DemoFailed("run the demo in the project's own directory: it reads examples/")
    paths.directory.mkdir(exist_ok=True)
    settings = Settings(database_url=paths.database_url)
    upgrade(paths.database_url)
    out.rule("1. The catalog: a garage, its stations, a dozen companies")
    database = Database.open(paths.database_url)
    show_changes(apply_file(database, settings, demo_steps.EXAMPLE / "catalog.yaml"), dry_run=False)
    with demo_steps.service(paths) as client:
        out.rule("2. The sessions of four months, sent over REST")
        with import_bar() as on_progress:
            report = demo_steps.import_sessions(client, paths, on_progress)
        show_import(report)
        _check("accepted, duplicates and quarantined are all that was sent",
               report.accepted + report.duplicates + report.quarantined, report.events)  # fmt: skip
        _check("kWh in usage and in the source file", demo_steps.energy_in_usage(client), demo_steps.energy_in_file())
        out.rule("3. Four months closed, invoices issued")
        _show_run(close_all(database, settings, through=_instant(demo_steps.THROUGH)))
        invoices = demo_steps.all_pages(client, "/v1/invoices", status="issued")
        _show_invoices(invoices)
        _check_energy(demo_steps.energy_invoiced(invoices), demo_steps.energy_by_invoice())
        demo_steps.save_files(client, paths, invoices)
    out.rule("4. The books, recomputed from the events")
    found = audit_books(database, now=_now())
    database.close()
    show_audit(found)
    _check("differences in the audit", len(found.differences), 0)
    _show_way_on(paths)


def _check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise demo_steps.DemoFailed(f"{what}: {found}, but it must be {expected}")
    out.print(f"[green]✓[/] {what}: {found}", highlight=False)


def _check_energy(invoiced: dict[tuple[str, str], Decimal], expected: dict[tuple[str, str], Decimal]) -> None:
    _check(
        "kWh on the invoices, as in the file for each company and month", sum(invoiced.values()), sum(expected.values())
    )
    if invoiced != expected:
        raise demo_steps.DemoFailed("the kWh of a company and month differ between its invoice and the file")


def _show_invoices(invoices: list[Any]) -> None:
    """Companies down, months across: the totals of what was issued."""
    months = sorted({invoice["period"]["start"][:7] for invoice in invoices})
    totals: dict[str, dict[str, Decimal]] = {}
    for invoice in invoices:
        row = totals.setdefault(invoice["buyer"], {})
        month = invoice["period"]["start"][:7]
        sign = -1 if invoice["type"] == "credit_note" else 1
        row[month] = row.get(month, Decimal(0)) + sign * Decimal(invoice["total"])
    table = Table("company", *(Column(month, justify="right") for month in months), Column("sum", justify="right"))
    for buyer in sorted(totals):
        row = totals[buyer]
        table.add_row(buyer, *(str(row.get(month, "")) for month in months), str(sum(row.values(), Decimal(0))))
    table.add_section()
    sums = [sum((row.get(month, Decimal(0)) for row in totals.values()), Decimal(0)) for month in months]
    table.add_row("all", *map(str, sums), str(sum(sums, Decimal(0))))
    out.print(table)
    numbers = sorted(invoice["number"] for invoice in invoices)
    out.print(f"{len(invoices)} documents issued, {numbers[0]} to {numbers[-1]}.", highlight=False)


def _show_way_on(paths: demo_steps.Paths) -> None:
    out.rule("Where to look")
    out.print(f"The invoices as PDF:  {paths.invoices}/", highlight=False)
    out.print(f"What was not accepted, and why:  {paths.directory / 'not-accepted.csv'}", highlight=False)
    out.print("The service on this database, and a question to it:", highlight=False)
    out.print(
        f"  QUOTEPART_DATABASE_URL=sqlite:///{paths.directory}/quotepart.db .venv/bin/quotepart serve\n"
        f'  curl -H "Authorization: Bearer $(cat {paths.key_file})" '
        '"http://127.0.0.1:8000/v1/usage?meter=energy&window=month&time_zone=America/Los_Angeles'
        '&start=2019-09-01T07:00:00Z&end=2020-01-01T08:00:00Z"',
        highlight=False, soft_wrap=True,
    )  # fmt: skip
