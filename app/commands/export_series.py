"""`quotepart export-series`: a series of documents as a file that `quotepart verify` checks anywhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import Quiet, bar, fail, opened
from app.domain.numbering import MAIN_SERIES, NUMBERED_TYPES
from app.operations.export_series import export_series as series_lines
from app.settings import Settings
from app.storage import tenant_store

commands = typer.Typer()


@commands.command()
def export_series(
    seller: Annotated[str | None, typer.Argument(help="the seller's key; absent: the operator")] = None,
    series: Annotated[
        str, typer.Option(help=f"{MAIN_SERIES}, or a type that has its own: {', '.join(NUMBERED_TYPES)}")
    ] = MAIN_SERIES,
    after: Annotated[int, typer.Option(help="only what comes after this position in the series", min=0)] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="a file; absent: standard output")] = None,
    quiet: Quiet = False,
) -> None:
    """Write the issued documents of a series, one a line, with all that their amounts are computed from."""
    with opened(Settings.from_environment()) as database:
        tenant = database.read(
            lambda connection: (
                tenant_store.operator(connection) if seller is None else tenant_store.find(connection, seller)
            )
        )
        if tenant is None:
            fail(f"there is no tenant {seller!r}" if seller else "there is no operator: name the seller", code=2)
        with bar(quiet=quiet) as shown:
            task = shown.add_task("documents", total=None)
            target = sys.stdout.buffer if output is None else output.open("wb")
            try:
                for line in series_lines(database, tenant.tenant_id, series=series, after=after):
                    target.write(line)
                    shown.advance(task)
            finally:
                if output is not None:
                    target.close()
                else:
                    target.flush()
