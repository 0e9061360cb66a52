"""What `quotepart verify --official` does: files held against the official rules for e-invoices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from app.commands.terminal import fail, out
from app.official import CheckFailed, NotInstalled, Report, official_checker


def official_reports(paths: Sequence[Path]) -> list[Report]:
    """One report a file: CII, UBL, or a PDF that carries an e-invoice. Ends the command where the engine is absent, or
    a file cannot be read."""
    try:
        with official_checker() as checker:
            return [checker.check(str(path), path.read_bytes()) for path in paths]
    except (NotInstalled, CheckFailed) as error:
        fail(str(error))
    except OSError as error:
        fail(f"cannot read {error.filename}: {error.strerror}")


def report_facts(report: Report) -> dict[str, Any]:
    """The report as JSON."""
    return {
        "file": report.name, "syntax": report.syntax or None, "checks": list(report.checks), "passed": report.passed,
        "findings": [
            {"rule": item.rule, "severity": item.severity, "detail": item.detail, "at": item.at}
            for item in report.findings
        ],
    }  # fmt: skip


def show_report(report: Report) -> None:
    """One line for a file that passes, and one more for each rule that it breaks."""
    mark = Text("✓", "green") if report.passed else Text("✗", "red")
    against = f": {report.syntax.upper()}, {', '.join(report.checks)}" if report.checks else ""
    out.print(mark, f"{report.name}{against}", highlight=False, soft_wrap=True)
    for item in report.findings:
        out.print(f"  {item.severity} {item.rule}: {item.detail}", markup=False, highlight=False, soft_wrap=True)
