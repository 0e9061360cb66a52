"""`quotepart keys`: API keys."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from app.commands.terminal import AsJson, Quiet, err, fail, now, opened, out, show
from app.domain.callers import SCOPES
from app.domain.events import instant_text
from app.operations.authenticate import create_key, revoke_key
from app.settings import Settings
from app.storage import key_store
from app.storage.key_store import ListedKey

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


@keys.command("list")
def list_(as_json: AsJson = False) -> None:
    """Every key, without its secret: what it is called, what it may do, whether it is still in force."""
    with opened(Settings.from_environment()) as database:
        found = database.read(key_store.list_keys)
    facts = [
        {
            "key": item.key_id, "name": item.name, "scopes": item.scopes.split(","), "tenant": item.tenant_key or None,
            "created_at": instant_text(item.created_at),
            "revoked_at": instant_text(item.revoked_at) if item.revoked_at else None,
        }
        for item in found
    ]  # fmt: skip
    show(facts, as_json=as_json, otherwise=lambda: _show_keys(found))


def _show_keys(found: list[ListedKey]) -> None:
    table = Table("key", "name", "scopes", "tenant", "created", "revoked")
    for item in found:
        revoked = f"{item.revoked_at:%Y-%m-%d}" if item.revoked_at else ""
        table.add_row(
            item.key_id, item.name, item.scopes.replace(",", " "), item.tenant_key, f"{item.created_at:%Y-%m-%d}",
            revoked,
        )  # fmt: skip
    out.print(table)


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
