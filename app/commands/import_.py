"""`quotepart import`: a file of usage, sent to a running service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from app.commands.terminal import AsJson, Quiet, bytes_bar, err, fail, out, show
from app.importing.record import ImportReport
from app.importing.replay import ImportStopped, Retrying, connect, report_beside, run_import
from app.importing.replay import Progress as ImportProgress
from app.settings import Settings

commands = typer.Typer()


@commands.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or JSON Lines, plain or gzipped")],
    mapping: Annotated[Path, typer.Option(help="how a row becomes events (YAML)")],
    url: Annotated[str, typer.Option(help="the running service")] = "http://127.0.0.1:8000",
    batch_size: Annotated[int, typer.Option(min=1, max=10_000, help="events in one request")] = 1000,
    report: Annotated[Path | None, typer.Option(help="where to write the rows that were not accepted")] = None,
    state: Annotated[Path | None, typer.Option(help="where to remember how far it is")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Send a file of usage to a running service; the key comes from QUOTEPART_API_KEY."""
    settings = Settings.from_environment()
    key = settings.api_key or settings.bootstrap_key
    if not key:
        fail("set QUOTEPART_API_KEY to a key with the ingest scope (`quotepart keys create --scope ingest`)", code=2)
    retrying = Retrying() if quiet else Retrying(tell=_remark)
    try:
        with connect(url) as client, import_bar(quiet=quiet) as on_progress:
            done = run_import(
                file, mapping, client=client, key=key, batch_size=batch_size, on_progress=on_progress,
                state_path=state, report_path=report, retrying=retrying,
            )  # fmt: skip
    except ImportStopped as stop:
        _remark(f"Stopped. {stop.rows_acknowledged} rows are acknowledged; the same command goes on from there.")
        raise typer.Exit(130) from stop
    show(asdict(done), as_json=as_json, otherwise=lambda: None)
    if not (as_json or quiet):
        show_import(done)
        show_remarks(done, report or report_beside(file))


def _remark(sentence: str) -> None:
    err.print(sentence, markup=False, soft_wrap=True)


@contextmanager
def import_bar(*, quiet: bool = False) -> Iterator[Callable[[ImportProgress], None]]:
    """A bar over the file's bytes: how many rows it has is known at its end only."""
    with bytes_bar(quiet=quiet) as shown:
        task = shown.add_task("sending events", total=None)
        yield lambda state: shown.update(task, total=state.bytes_total, completed=state.bytes_read)


def show_import(done: ImportReport) -> None:
    table = Table("what became of the file", Column("number", justify="right"))
    for name, number in asdict(done).items():
        table.add_row(name, str(number))
    out.print(table)


def show_remarks(done: ImportReport, report_path: Path) -> None:
    """Where it says why something was not accepted, and that nothing was sent where no row asked for it."""
    if done.not_accepted:
        one_event_a_row = done.events + done.unmapped + done.skipped == done.rows
        listed = "rows" if one_event_a_row else "rows and events"
        were = "row was" if done.not_accepted == 1 else f"{listed} were"
        out.print(f"{done.not_accepted} {were} not accepted; why: {report_path}", markup=False, soft_wrap=True)
    if done.rows and done.rows == done.skipped:
        out.print("no row met `when`", markup=False)
