"""`quotepart apply`: the catalog from one YAML document."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.commands.terminal import AsJson, Quiet, err, now, opened, out, show
from app.operations.apply_catalog import Applied, apply_catalog
from app.operations.run_catalog_jobs import run_catalog_jobs
from app.settings import Settings
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.wire.catalog_file import InvalidCatalogFile

_SIGNS = {"created": "[green]+[/]", "changed": "[yellow]~[/]", "published": "[green]^[/]"}

commands = typer.Typer()


@commands.command()
def apply(
    file: Annotated[Path, typer.Argument(help="the catalog (YAML)")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would change")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make the catalog what a YAML document says: shows the difference, then does it, all or nothing."""
    settings = Settings.from_environment()
    with opened(settings) as database:
        applied = apply_file(database, settings, file, dry_run=dry_run)
    changes = [asdict(change) for change in applied.changes]
    show(changes, as_json=as_json, otherwise=lambda: None if quiet else show_changes(applied, dry_run=dry_run))


def apply_file(database: Database, settings: Settings, file: Path, *, dry_run: bool = False) -> Applied:
    """The document applied, and events that were posted before it counted. Exits 1 with every fault in it."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"cannot read {file}: {error}") from error
    try:
        applied = apply_catalog(database, text, name=str(file), now=now(), dry_run=dry_run)
    except InvalidCatalogFile as error:
        for fault in error.faults:
            err.print(str(fault), markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    if not dry_run:
        run_catalog_jobs(
            database, CatalogCache(), clock=now, future=timedelta(seconds=settings.future_seconds),
            lease_seconds=settings.lease_seconds,
        )  # fmt: skip
    return applied


def show_changes(applied: Applied, *, dry_run: bool) -> None:
    for change in applied.changes:
        if change.action == "unchanged":
            continue
        out.print(f"{_SIGNS[change.action]} {escape(f'{change.section}/{change.key}')}", markup=True, soft_wrap=True)
        if change.action == "changed":
            for path, old, new in change.fields:
                out.print(f"    {path}: {old} -> {new}", soft_wrap=True)
    counts = ", ".join(f"{applied.count(action)} {action}" for action in (*_SIGNS, "unchanged"))  # type: ignore[arg-type]
    out.print(f"{'Would be: ' if dry_run else ''}{counts}.")
