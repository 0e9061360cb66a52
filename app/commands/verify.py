"""`quotepart verify`: files of documents, checked without the service and its database."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from app.commands.official_files import official_reports, report_facts, show_report
from app.commands.terminal import AsJson, Quiet, fail, out, show
from app.operations.verify_documents import Verified, verify_documents

commands = typer.Typer()


@commands.command()
def verify(
    files: Annotated[
        list[Path],
        typer.Argument(help="exported documents and series (JSON); with --official: CII, UBL, or PDFs that carry one"),
    ],
    official: Annotated[bool, typer.Option("--official", help="against the official rules for e-invoices")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check files of documents: hashes, chain, every amount; with --official e-invoices by schema, EN 16931, BR-FR."""
    if not official:
        _verify_sealed(files, as_json=as_json, quiet=quiet)
        return
    reports = official_reports(files)

    def tell() -> None:
        for report in reports:
            if not quiet or not report.passed:
                show_report(report)

    show({"files": [report_facts(report) for report in reports]}, as_json=as_json, otherwise=tell)
    if not all(report.passed for report in reports):
        raise typer.Exit(1)


def _verify_sealed(files: list[Path], *, as_json: bool, quiet: bool) -> None:
    found = {path: _verified(path) for path in files}
    facts = [
        {"file": str(path), "passed": one.passed, "documents": one.documents, "lines": one.lines,
         "faults": [asdict(fault) for fault in one.faults]}
        for path, one in found.items()
    ]  # fmt: skip

    def tell() -> None:
        for path, one in found.items():
            if not quiet or not one.passed:
                _show(path, one)

    show({"files": facts}, as_json=as_json, otherwise=tell)
    if not all(one.passed for one in found.values()):
        raise typer.Exit(1)


def _verified(path: Path) -> Verified:
    try:
        with path.open("rb") as file:
            found = verify_documents(file)
    except OSError as error:
        fail(f"{path}: {error.strerror}", code=2)
    if not found.documents and found.passed:
        fail(f"{path}: there is no document in it", code=2)
    return found


def _show(path: Path, found: Verified) -> None:
    verdict = "all as issued" if found.passed else f"{len(found.faults)} faults"
    out.print(f"{path}: {found.documents} documents, {found.lines} lines: {verdict}.", markup=False, soft_wrap=True)
    for fault in found.faults:
        named = f" {fault.number}" if fault.number else ""
        told = f": expected {fault.expected}, found {fault.found}" if fault.expected else ""
        out.print(f"  line {fault.line}{named}: {fault.what}{told}", markup=False, soft_wrap=True)
