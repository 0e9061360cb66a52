"""`quotepart openapi`: what others read about the interface, written down from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.terminal import fail
from app.main import openapi_text
from app.wire.catalog_schema import catalog_schema_text

Output = Annotated[Path, typer.Option(help="the file to write")]

commands = typer.Typer()


@commands.command()
def openapi(output: Output) -> None:
    """Write the OpenAPI document of the HTTP interface."""
    _write(output, openapi_text())


@commands.command("catalog-schema")
def catalog_schema(output: Output) -> None:
    """Write the JSON Schema of the YAML catalog; editors complete and check with it."""
    _write(output, catalog_schema_text())


def _write(output: Path, text: str) -> None:
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
