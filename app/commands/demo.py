"""`quotepart demo`: the whole path, shown step by step."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.table import Column, Table
from rich.text import Text

from app import demo as demo_steps
from app.commands.apply import apply_file, show_changes
from app.commands.audit import audit_all, show_audit
from app.commands.close import close_all, show_run
from app.commands.import_ import import_bar, show_import
from app.commands.terminal import fail, instant, out
from app.settings import Settings
from app.storage.database import Database
from app.storage.migrate import upgrade

commands = typer.Typer()


@commands.command()
def demo(
    directory: Annotated[Path, typer.Option(help="where it keeps its database and files")] = Path("demo"),
) -> None:
    """Real charging sessions to issued invoices, on this machine: the whole path."""
    try:
        run_demo(demo_steps.Paths(directory))
    except (demo_steps.DemoFailed, httpx.HTTPError) as error:
        fail(str(error))


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
        show_run(close_all(database, settings, through=instant(demo_steps.THROUGH)))
        invoices = demo_steps.all_pages(client, "/v1/invoices", status="issued")
        _show_invoices(invoices)
        _check_energy(demo_steps.energy_invoiced(invoices), demo_steps.energy_by_invoice())
        _check("invoices as Factur-X: the PDF holds the e-invoice",
               demo_steps.save_files(client, paths, invoices), len(invoices))  # fmt: skip
    out.rule("4. The books, recomputed from the events")
    found = audit_all(database)
    database.close()
    show_audit(found)
    _check("differences in the audit", len(found.differences), 0)
    _show_way_on(paths)


def _check(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise demo_steps.DemoFailed(f"{what}: {found}, but it must be {expected}")
    out.print(Text("✓", "green"), f"{what}: {found}")


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
    out.print(f"{len(invoices)} documents issued, {numbers[0]} to {numbers[-1]}.")


def _show_way_on(paths: demo_steps.Paths) -> None:
    out.rule("Where to look")
    out.print(f"The invoices as PDF (Factur-X) and as e-invoices:  {paths.invoices}/")
    out.print(f"What was not accepted, and why:  {paths.directory / 'not-accepted.csv'}")
    out.print("The service on this database, and a question to it:")
    out.print(
        f"  QUOTEPART_DATABASE_URL=sqlite:///{paths.directory}/quotepart.db .venv/bin/quotepart serve\n"
        f'  curl -H "Authorization: Bearer $(cat {paths.key_file})" '
        '"http://127.0.0.1:8000/v1/usage?meter=energy&window=month&time_zone=America/Los_Angeles'
        '&start=2019-09-01T07:00:00Z&end=2020-01-01T08:00:00Z"',
        soft_wrap=True,
    )  # fmt: skip
