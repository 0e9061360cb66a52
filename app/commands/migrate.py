"""`quotepart migrate`."""

from __future__ import annotations

import typer

from app.commands.terminal import Quiet, err
from app.settings import Settings
from app.storage.migrate import place_of, upgrade

commands = typer.Typer()


@commands.command()
def migrate(quiet: Quiet = False) -> None:
    """Bring the database to the schema of this version; does nothing where it is there already."""
    url = Settings.from_environment().database_url
    upgrade(url)
    if not quiet:
        err.print(f"{place_of(url)} is at the newest schema.", markup=False, soft_wrap=True)
