"""How far did an import come, and which rows were not accepted?

Two files: the *state*, a few lines of JSON with the number of rows that the service has answered for, and the *report*,
a CSV line for every row or event that was not accepted. After each answer the report is written first, then the state,
which also remembers how long the report was: a process killed in between leaves lines that the next one cuts off and
writes again. The state is removed at the end; it counts for nothing when the file, the mapping or the service differ.
A report that lists nothing is removed with it, unless it is to be kept.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from app.domain.errors import InvalidInput

_REPORT_HEADER = ("row", "id", "status", "reason", "detail")


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file, counted.

    rows = unmapped + skipped (no event is wanted of them) + those that gave events; events = accepted + duplicates +
    conflicts + quarantined + rejected. An event that was counted before an interruption may be a duplicate after it.
    """

    rows: int = 0
    events: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    rejected: int = 0
    unmapped: int = 0
    skipped: int = 0

    @property
    def not_accepted(self) -> int:
        """How many rows and events the report lists, listed duplicates aside."""
        return self.conflicts + self.quarantined + self.rejected + self.unmapped

    def __add__(self, other: ImportReport) -> ImportReport:
        return ImportReport(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """A row, or one event of it, that the service did not count. `status`: unmapped, rejected, quarantined, .."""

    row: int
    id: str
    status: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What an import reads and where it sends it; two imports of one origin send the same events in the same order."""

    size: int
    sha256: str
    mapping: str
    service: str

    @classmethod
    def of(cls, path: Path, *, mapping: str, service: str) -> Origin:
        """Raises InvalidInput where the file cannot be read."""
        digest = sha256()
        size = 0
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise InvalidInput(f"{path} cannot be opened: {error.strerror}.", file=str(path)) from error
        return cls(size, digest.hexdigest(), mapping, service)


class ImportRecord:
    """The state and the report of one import, on disk."""

    def __init__(self, origin: Origin, *, state_path: Path, report_path: Path, keep_empty_report: bool = False) -> None:
        self.rows_done = 0
        self.report = ImportReport()
        self._origin = origin
        self._state_path = state_path
        self._report_path = report_path
        self._keep_empty_report = keep_empty_report
        self._finished = False

    def __enter__(self) -> Self:
        """Takes up where an interrupted import of the same origin ended. Raises InvalidInput for unwritable places."""
        try:
            length = self._take_up()
            self._file = self._report_path.open("r+b" if length else "w+b")
            self._file.truncate(length)
            self._file.seek(length)
            if not length:
                self._file.write(_csv_lines([_REPORT_HEADER]))
            self._save()
        except OSError as error:
            raise InvalidInput(
                f"{error.filename or self._report_path} cannot be written: {error.strerror}. "
                "Name other places for the state and the report."
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        empty = self._file.tell() <= len(_csv_lines([_REPORT_HEADER]))
        self._file.close()
        if self.rows_done and not self._finished:
            return
        # Nothing to take up: all is done, the file could not be read, or not a single batch was taken.
        self._state_path.unlink(missing_ok=True)
        if empty and not self._keep_empty_report:
            self._report_path.unlink(missing_ok=True)

    def acknowledge(self, rows: int, outcome: ImportReport, faults: Iterable[NotAccepted]) -> None:
        """Notes that the service has answered for the rows up to the `rows`th."""
        self._file.write(
            _csv_lines((str(fault.row), fault.id, fault.status, fault.reason, fault.detail) for fault in faults)
        )
        self.rows_done = rows
        self.report += outcome
        self._save()

    def finish(self) -> None:
        """Notes that all is done: the next import of the file starts at its first row."""
        self._finished = True

    def _take_up(self) -> int:
        """Restores an interrupted import and returns the length of its report; 0 where there is nothing to restore."""
        try:
            state: dict[str, Any] = json.loads(self._state_path.read_bytes())
            length = int(state["report_bytes"])
            if state["origin"] != asdict(self._origin) or self._report_path.stat().st_size < length:
                return 0
            self.report = ImportReport(**state["report"])
            self.rows_done = int(state["rows_done"])
            return length
        except (OSError, ValueError, TypeError, KeyError):
            # Starting over costs time and no more: what was sent before comes back as duplicates.
            return 0

    def _save(self) -> None:
        self._file.flush()
        state = {
            "origin": asdict(self._origin),
            "rows_done": self.rows_done,
            "report": asdict(self.report),
            "report_bytes": self._file.tell(),
        }
        # Replaced in one step: a reader sees the old state or the new one.
        draft = self._state_path.with_name(self._state_path.name + ".new")
        draft.write_text(json.dumps(state, indent=1))
        os.replace(draft, self._state_path)


def _csv_lines(lines: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode("utf-8", "backslashreplace")
