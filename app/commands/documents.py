"""`quotepart openapi`: what others read about the interface, written down from the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.main import openapi_text
from app.wire.catalog_schema import catalog_schema_text

Output = Annotated[Path, typer.Option(help="the file to write")]

commands = typer.Typer()


@commands.command()
def openapi(output: Output) -> None:
    """Write the OpenAPI document of the HTTP interface."""
    output.write_text(openapi_text(), encoding="utf-8")


@commands.command("catalog-schema")
def catalog_schema(output: Output) -> None:
    """Write the JSON Schema of the YAML catalog; editors complete and check with it."""
    output.write_text(catalog_schema_text(), encoding="utf-8")
