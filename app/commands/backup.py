"""`quotepart backup`: a whole copy of a SQLite database, while the service goes on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import AsJson, Quiet, bytes_bar, fail, out, show
from app.settings import Settings
from app.storage.backup import Backup, TargetExists, back_up

commands = typer.Typer()


@commands.command()
def backup(
    file: Annotated[Path, typer.Argument(help="where the copy goes; another file than the database")],
    replace: Annotated[bool, typer.Option("--replace", help="overwrite the file if it is there")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Copy the database, whole and checked, while the service writes; for PostgreSQL it says what to run instead."""
    settings = Settings.from_environment()
    with bytes_bar(quiet=quiet) as shown:
        task = shown.add_task("backup", total=None)
        try:
            made = back_up(
                settings.database_url, file, replace=replace,
                progress=lambda copied, total: shown.update(task, completed=copied, total=total),
            )  # fmt: skip
        except TargetExists as error:
            fail(f"{error.detail} Another name, or --replace?")
    facts = asdict(made) | {"file": str(file), "seconds": f"{made.seconds:.3f}"}
    show(facts, as_json=as_json, otherwise=lambda: None if quiet else _show(made, file))


def _show(made: Backup, file: Path) -> None:
    out.print(f"{file}: {made.size_bytes} bytes, schema {made.revision}, checked.", soft_wrap=True)
