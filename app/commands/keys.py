"""`quotepart keys`: API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from app.commands.terminal import Quiet, err, fail, now, opened
from app.domain.callers import SCOPES
from app.operations.authenticate import create_key, revoke_key
from app.settings import Settings

commands = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="API keys.")
commands.add_typer(keys, name="keys")


@keys.command("create")
def create(
    scope: Annotated[list[str], typer.Option(help=" | ".join(SCOPES) + "; may be repeated")],
    tenant: Annotated[str, typer.Option(help="bind the key to this tenant")] = "",
    name: Annotated[str, typer.Option(help="what it is for")] = "",
) -> None:
    """Make an API key; it is shown this once."""
    if not set(scope) <= set(SCOPES):
        raise typer.BadParameter(f"scope must be one of {', '.join(SCOPES)}")
    with opened(Settings.from_environment()) as database:
        print(create_key(database, scopes=scope, tenant=tenant, name=name, now=now()))


@keys.command("revoke")
def revoke(
    key: Annotated[str, typer.Argument(help="the key, or the part of it between the underscores")],
    quiet: Quiet = False,
) -> None:
    """Make a key open nothing from now on."""
    with opened(Settings.from_environment()) as database:
        revoked = revoke_key(database, key, now=now())
    if not revoked:
        fail("there is no such key that is still in force")
    if not quiet:
        err.print("The key is revoked.")
