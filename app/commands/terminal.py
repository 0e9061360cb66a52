"""What every command shares: where it writes, how it reports progress and errors, how it opens the database.

Results go to stdout, progress and errors to stderr. `--quiet` silences what is not asked for: progress and remarks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)

from app.commands.streams import err, out, show_error
from app.domain.events import parse_instant
from app.settings import Settings
from app.storage.database import Database
from app.storage.migrate import check_schema

__all__ = ["AsJson", "Quiet", "bar", "bytes_bar", "err", "fail", "instant", "now", "opened", "out", "show"]

AsJson = Annotated[bool, typer.Option("--json", help="the result as JSON on stdout")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="no progress and no remarks; errors are still told")]


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Ends the command with one line that says what is wrong and what to do."""
    show_error(message)
    raise typer.Exit(code)


def now() -> datetime:
    return datetime.now(UTC)


def instant(text: str) -> datetime:
    """The instant that an option names; a date is midnight of UTC. Raises typer.BadParameter."""
    try:
        return parse_instant(f"{text}T00:00:00Z" if len(text) == 10 else text)
    except ValueError as error:
        raise typer.BadParameter("write a date (2026-11-01) or an instant (2026-11-01T00:00:00Z)") from error


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database at the right schema, closed at the end. Raises NotReady."""
    check_schema(settings.database_url)
    database = Database.open(settings.database_url)
    try:
        yield database
    finally:
        database.close()


def bar(*, quiet: bool = False) -> Progress:
    """A progress bar on stderr; nothing where that is no terminal."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=err, disable=quiet or not err.is_terminal, transient=True,
    )  # fmt: skip


def bytes_bar(*, quiet: bool = False) -> Progress:
    """The same for what is counted in bytes; it stays when it is done."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=err, disable=quiet or not err.is_terminal,
    )  # fmt: skip


def show(facts: Any, *, as_json: bool, otherwise: Callable[[], None]) -> None:
    """The result: `facts` as JSON, or whatever `otherwise` prints for a person."""
    if as_json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        otherwise()
