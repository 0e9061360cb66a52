"""`quotepart simulate`: what a plan would have brought over past use."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from app.commands.terminal import AsJson, Quiet, bar, err, fail, instant, now, opened, out, show
from app.documents.simulation_csv import render_simulation_csv
from app.documents.simulation_svg import render_simulation_svg
from app.domain.money import amount_text
from app.domain.simulations import SimulatedPlan, Simulation, SimulationRequest, TenantChange, Totals, with_changes
from app.garbage import collect_less_often
from app.operations.simulate_plan import check_simulation, plan_of_catalog, simulate_plan, tenants_due
from app.settings import Settings
from app.storage.database import Database
from app.wire.catalog_file import parse_plan_file
from app.wire.parsing import Fields
from app.wire.plans import draft_from_wire
from app.wire.simulations import change_to_wire, request_to_wire, totals_to_wire

commands = typer.Typer()


@commands.command()
def simulate(
    plan: Annotated[str, typer.Argument(help="a file with a plan (YAML or JSON), or the key of one in the catalog")],
    start: Annotated[str, typer.Option(help="a date, as midnight in each tenant's zone, or an instant")],
    end: Annotated[str, typer.Option(help="the same; the first that is outside")],
    against: Annotated[
        str | None, typer.Option(help="compare with this plan, a file or a key, not with what is in force")
    ] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="only this tenant; may be repeated")] = None,
    replaces: Annotated[
        list[str] | None, typer.Option(help="only in place of subscriptions to this plan; may be repeated")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="write a picture of the largest changes to this file")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="a table of tenants and charges as CSV on stdout")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Compare a plan with what is in force, tenant by tenant, over what was used. Nothing is written down."""
    collect_less_often()
    with opened(Settings.from_environment()) as database:
        request = SimulationRequest(
            _plan(database, plan), _moment(start), _moment(end), tuple(tenant) if tenant else None,
            None if against is None else _plan(database, against), tuple(replaces or ()),
        )  # fmt: skip
        check_simulation(database, request)
        found, changes = _run(database, request, quiet=quiet)
    currency = request.plan.terms.currency
    if svg is not None:
        svg.write_bytes(render_simulation_svg(found))
    if csv:
        sys.stdout.buffer.write(render_simulation_csv(changes, currency))
    else:
        show(_facts(found, changes), as_json=as_json, otherwise=lambda: _show(found.totals, currency))
    for item in found.totals.skipped:
        err.print(f"  {item.tenant}: {item.detail}", markup=False, soft_wrap=True)


def _run(database: Database, request: SimulationRequest, *, quiet: bool) -> tuple[Simulation, list[TenantChange]]:
    tenants = tenants_due(database, request)
    totals, changes, done = Totals(), list[TenantChange](), 0
    with bar(quiet=quiet) as shown:
        task = shown.add_task("simulating tenants", total=len(tenants))
        for batch in simulate_plan(database, request, tenants):
            totals = with_changes(totals, batch.changes, batch.skipped)
            changes += batch.changes
            done = tenants.index(batch.last) + 1
            shown.update(task, completed=done)
    return Simulation(request, "done", now(), len(tenants), done, totals), changes


def _plan(database: Database, named: str) -> SimulatedPlan:
    """The plan of the file; of the catalog, where there is no such file. Ends the command where there is neither."""
    path = Path(named)
    if not path.is_file():
        found = plan_of_catalog(database, named)
        if found is None:
            fail(f"There is neither a file nor a plan {named}.")
        return found
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error
    key, body = parse_plan_file(text, named)
    fields = Fields(body)
    made = draft_from_wire(fields)
    fields.finish()
    return SimulatedPlan(made.key or key, made.name or path.stem, made.terms)


def _moment(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-01") else instant(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no date") from error


def _facts(found: Simulation, changes: list[TenantChange]) -> dict[str, Any]:
    currency = found.request.plan.terms.currency
    return {
        **request_to_wire(found.request), "currency": currency, **totals_to_wire(found.totals, currency),
        "data": [change_to_wire(item, currency) for item in changes],
    }  # fmt: skip


def _show(totals: Totals, currency: str) -> None:
    table = Table("", "now", "then", "change", title=f"{totals.tenants} tenants, net amounts in {currency}")
    for column in table.columns[1:]:
        column.justify = "right"
    for charge in totals.charges:
        old, new = (None if item is None else item.amount for item in (charge.old, charge.new))
        sides = ["" if item is None else amount_text(item, currency) for item in (old, new)]
        table.add_row(charge.charge, *sides, amount_text(charge.difference, currency))
    table.add_section()
    table.add_row("all charges", *(amount_text(item, currency) for item in (totals.old, totals.new, totals.difference)))
    out.print(table)
    if totals.largest:
        largest = Table("tenant", "now", "then", "change", title="The largest changes")
        for column in largest.columns[1:]:
            column.justify = "right"
        for item in totals.largest:
            row = (amount_text(amount, currency) for amount in (item.old, item.new, item.difference))
            largest.add_row(item.tenant, *row)
        out.print(largest)
