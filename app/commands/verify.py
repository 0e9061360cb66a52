"""`quotepart verify`: files of documents, checked without the service and its database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.commands.official_files import official_reports, report_facts, show_report
from app.commands.terminal import AsJson, Quiet, fail, show

commands = typer.Typer()


@commands.command()
def verify(
    files: Annotated[list[Path], typer.Argument(help="e-invoices: CII, UBL, or PDFs that carry one")],
    official: Annotated[bool, typer.Option("--official", help="against the official rules for e-invoices")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check files of documents: with --official by the schema, EN 16931 and, for French sellers, BR-FR."""
    if not official:
        fail("say what to check by: --official", code=2)
    reports = official_reports(files)

    def tell() -> None:
        for report in reports:
            if not quiet or not report.passed:
                show_report(report)

    show({"files": [report_facts(report) for report in reports]}, as_json=as_json, otherwise=tell)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)
