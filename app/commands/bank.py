"""`quotepart bank`: the payments that a bank statement tells of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from app.commands.terminal import AsJson, err, fail, now, opened, out, show
from app.operations.import_statement import find_seller, import_statement, owner_of
from app.operations.read_bank import list_entries
from app.settings import Settings
from app.storage.bank_store import BankFilter
from app.wire.bank import StatementSent, format_of, imported_to_wire, statements_of
from app.wire.bank_csv import CsvMapping, mapping_from_wire

commands = typer.Typer()


@commands.command()
def bank(
    file: Annotated[Path, typer.Argument(help="a bank statement: CAMT.053, or CSV")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="for CSV: which column has what, as YAML or JSON; by their usual names without it"),
    ] = None,
    seller: Annotated[
        str | None,
        typer.Option(help="the tenant whose bank it is; without it the one with this account, or the operator"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record the payments of a bank statement; nothing is paid twice, however often it is read."""
    content = _read(file)
    sent = StatementSent(format_of(content), content, CsvMapping() if mapping is None else _mapping(mapping))
    settings = Settings.from_environment()
    if len(content) > settings.max_body_bytes:
        fail(f"{file} has more than {settings.max_body_bytes} bytes.")
    with opened(settings) as database:
        owner = find_seller(database, seller)
        statements = statements_of(sent, currency=owner.currency)
        if seller is None:
            owner = owner_of(database, statements, otherwise=owner)
        made = import_statement(database, owner, statements, content, format=sent.format, now=now())
        facts = imported_to_wire(made.statement, owner.key, new=made.new, outcomes=made.outcomes)
        wanted = BankFilter(status="unmatched", seller_id=owner.tenant_id)
        _, waiting = list_entries(database, wanted, after=None, limit=20)
    show(facts, as_json=as_json, otherwise=lambda: _show(facts, waiting))


def _show(facts: dict[str, Any], waiting: list[dict[str, Any]]) -> None:
    out.print(
        f"{facts['entries']} entries, {facts['new']} new: {facts['matched']} payments, {facts['reversed']} reversals, "
        f"{facts['unmatched']} unmatched, {facts['ignored']} ignored."
    )
    if waiting:
        err.print("Waiting for somebody to say what they are:")
    for entry in waiting:
        text = entry["text"] or ", ".join(entry["references"])
        line = f"  {entry['booked_on']} {entry['amount']} {entry['currency']} {entry['name'] or ''} {text}"
        err.print(f"{line.rstrip()} ({entry['id']})", markup=False, soft_wrap=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fail(f"{path} cannot be opened: {error.strerror}.")


def _mapping(path: Path) -> CsvMapping:
    try:
        body = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        fail(f"{path} is not YAML: {error}")
    return mapping_from_wire(body)
