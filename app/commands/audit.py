"""`quotepart audit`: everything computed again from the events."""

from __future__ import annotations

from typing import Any

import typer
from rich.table import Column, Table

from app.commands.terminal import AsJson, Quiet, bar, now, opened, out, show
from app.operations.audit_books import Audit, audit_books
from app.settings import Settings
from app.storage import audit_store
from app.storage.audit_store import AuditFigures
from app.storage.database import Database

commands = typer.Typer()


@commands.command()
def audit(as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Recompute everything from the events; exit 1 where anything differs."""
    with opened(Settings.from_environment()) as database:
        found = audit_all(database, quiet=quiet)
    show(_facts(found), as_json=as_json, otherwise=lambda: None if quiet and found.is_clean else show_audit(found))
    if not found.is_clean:
        raise typer.Exit(1)


def audit_all(database: Database, *, quiet: bool = False) -> Audit:
    """The audit, with a progress bar; its figures are kept, for monitoring asks for the last."""
    started_at = now()
    with bar(quiet=quiet) as shown:
        task = shown.add_task("audit", total=None)
        found = audit_books(
            database, now=started_at,
            progress=lambda what, count: shown.update(task, description=what, completed=count),
        )  # fmt: skip
    figures = AuditFigures(
        started_at, now(), found.events, found.buckets, found.lines, found.documents, len(found.differences),
        len(found.unpriced),
    )  # fmt: skip
    database.write(lambda connection: audit_store.add(connection, figures))
    return found


def _facts(found: Audit) -> dict[str, Any]:
    return {
        "clean": found.is_clean, "events": found.events, "buckets": found.buckets, "lines": found.lines,
        "documents": found.documents, "building": found.building, "unpriced": found.unpriced,
        "unbilled": found.unbilled,
        "differences": [
            {"table": item.table, "row": item.row, "what": item.what, "expected": item.expected, "found": item.found}
            for item in found.differences
        ],
    }  # fmt: skip


def show_audit(found: Audit) -> None:
    out.print(
        f"{found.events} events, {found.buckets} buckets, {found.lines} lines, {found.documents} documents: "
        f"{'clean' if found.is_clean else f'{len(found.differences)} differences'}."
    )
    if found.differences:
        table = Table(*(Column(name, overflow="fold") for name in ("table", "row", "what", "expected", "found")))
        for item in found.differences:
            row = " ".join(f"{name}={value}" for name, value in item.row.items())
            table.add_row(item.table, row, item.what, item.expected, item.found)
        out.print(table)
    if found.unpriced:
        table = Table("tenant", "meter", "from", "to", "quantity", "unit", title="Usage that nothing prices")
        for entry in found.unpriced:
            table.add_row(*(str(entry[name]) for name in ("tenant", "meter", "start", "end", "quantity", "unit")))
        out.print(table)
    if found.unbilled:
        names = ("subscription", "charge", "start", "end", "amount_billed", "amount", "status")
        table = Table(*names, title="Late usage that is not billed")
        for entry in found.unbilled:
            table.add_row(*(str({**entry, **entry["period"]}[name]) for name in names))
        out.print(table)
