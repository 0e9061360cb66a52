"""`quotepart export`: issued documents as files for other programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.terminal import Quiet, bar, err, fail, instant, now, opened
from app.documents.focus import SERVICE_CATEGORIES
from app.domain.callers import Caller
from app.domain.exports import Bound, ExportWish
from app.domain.money import CURRENCY_DECIMALS
from app.domain.month_end import SECTIONS, MonthEndRow, Section
from app.domain.periods import local_date
from app.operations.export_documents import FORMATS, Table, count_documents, export_documents
from app.operations.export_filters import export_filter
from app.operations.export_journal import journal_chunks, journal_name
from app.operations.journal_sources import JournalWish, open_journal
from app.operations.month_end import month_end_chunks, month_end_rows, open_month_end
from app.operations.put_chart import find_chart
from app.settings import Settings
from app.wire.month_end import month_end_to_wire

commands = typer.Typer()

_SEPARATORS = {"tab": "\t", "pipe": "|"}
_EVERYTHING = Caller(frozenset({"admin"}))


class What(StrEnum):
    documents = "documents"
    lines = "lines"
    focus = "focus"
    sales_journal = "sales-journal"
    month_end = "month-end"


class Separator(StrEnum):
    tab = "tab"
    pipe = "pipe"


_TABLES: dict[What, Table] = {What.documents: "documents", What.lines: "lines", What.focus: "focus"}


class DocumentType(StrEnum):
    invoice = "invoice"
    credit_note = "credit_note"
    statement = "statement"


@commands.command()
def export(
    what: Annotated[What, typer.Argument(help="what is wanted")],
    from_: Annotated[
        str | None, typer.Option("--from", help="issued at or after: a date of the seller, or an instant")
    ] = None,
    to: Annotated[str | None, typer.Option(help="issued before: the same")] = None,
    format: Annotated[str | None, typer.Option(help="csv, csv.gz, xlsx or txt; otherwise as --output ends")] = None,
    output: Annotated[
        Path | None, typer.Option(help="the file to write, or for the journal a directory; otherwise stdout")
    ] = None,
    period_start: Annotated[str | None, typer.Option(help="only documents whose period starts there or later")] = None,
    period_end: Annotated[str | None, typer.Option(help="only documents whose period ends there or earlier")] = None,
    seller: Annotated[str | None, typer.Option(help="only what this tenant sells")] = None,
    buyer: Annotated[str | None, typer.Option(help="only what this tenant buys")] = None,
    tenant: Annotated[str | None, typer.Option(help="only what this tenant sells or buys")] = None,
    type: Annotated[DocumentType | None, typer.Option(help="only documents of this type")] = None,
    currency: Annotated[str | None, typer.Option(help="only documents in this currency")] = None,
    service_category: Annotated[str, typer.Option(help="for focus: the ServiceCategory of every row")] = "Other",
    separator: Annotated[Separator, typer.Option(help="for the journal: what separates its columns")] = Separator.tab,
    first_number: Annotated[int, typer.Option(min=1, help="for the journal: the number of its first entry")] = 1,
    as_of: Annotated[str | None, typer.Option(help="for the month-end: the day; otherwise today")] = None,
    quiet: Quiet = False,
) -> None:
    """Write issued documents, their lines, FOCUS 1.2 data, the sales journal or the month-end as a file."""
    if what is What.month_end:
        if any((from_, to, period_start, period_end, buyer, type, currency)):
            raise typer.BadParameter("a month-end takes --as-of, --seller and --tenant")
        _export_month_end(as_of, seller or "", tenant or "", format, output, quiet=quiet)
        return
    if what is What.sales_journal:
        if period_start or period_end or buyer or tenant or type:
            raise typer.BadParameter("a journal is of a seller: it takes --from, --to, --seller and --currency")
        wanted_books = JournalWish(bound(from_), bound(to), seller or "", _currency(currency) or "", first_number)
        _export_journal(wanted_books, format, output, _SEPARATORS[separator], quiet=quiet)
        return
    table = _TABLES[what]
    chosen: Any = format or _format_of(output, FORMATS[table])
    if chosen not in FORMATS[table]:
        raise typer.BadParameter(f"{what} comes as {', '.join(FORMATS[table])}", param_hint="--format")
    if service_category not in SERVICE_CATEGORIES:
        raise typer.BadParameter(f"one of {', '.join(SERVICE_CATEGORIES)}", param_hint="--service-category")
    wish = ExportWish(
        bound(from_), bound(to), bound(period_start), bound(period_end), None if type is None else type.value,
        _currency(currency), seller, buyer, tenant,
    )  # fmt: skip
    with opened(Settings.from_environment()) as database:
        wanted = export_filter(database, wish, _EVERYTHING)
        with bar(quiet=quiet) as shown:
            task = shown.add_task("documents", total=count_documents(database, wanted))
            chunks = export_documents(
                database, table, chosen, wanted, service_category=service_category,
                progress=lambda documents: shown.advance(task, documents),
            )  # fmt: skip
            written = write(chunks, output)
    _tell(written, output, quiet=quiet)


def _export_journal(wish: JournalWish, format: str | None, output: Path | None, separator: str, *, quiet: bool) -> None:
    chosen = format or _format_of(output, ("txt", "csv"))
    if chosen not in ("txt", "csv"):
        raise typer.BadParameter("sales-journal comes as txt, csv", param_hint="--format")
    with opened(Settings.from_environment()) as database:
        books = open_journal(database, wish, _EVERYTHING, find_chart(database))
        if output is not None and output.is_dir():
            output = output / f"{journal_name(books, today=local_date(now(), books.zone))}.{chosen}"
        with bar(quiet=quiet) as shown:
            task = shown.add_task("documents", total=count_documents(database, books.filter))
            chunks = journal_chunks(
                database, books, chosen, separator=separator,
                progress=lambda documents: shown.advance(task, documents),
            )  # fmt: skip
            written = write(chunks, output)
    _tell(written, output, quiet=quiet)


def _export_month_end(
    as_of: str | None, seller: str, tenant: str, format: str | None, output: Path | None, *, quiet: bool
) -> None:
    chosen = format or _format_of(output, ("json", "csv", "xlsx"))
    if chosen not in ("json", "csv", "xlsx"):
        raise typer.BadParameter("month-end comes as json, csv, xlsx", param_hint="--format")
    day = bound(as_of)
    if isinstance(day, datetime):
        raise typer.BadParameter("a date, such as 2026-11-30", param_hint="--as-of")
    with opened(Settings.from_environment()) as database:
        wanted = open_month_end(
            database, as_of=day, seller=seller, buyer=tenant, caller=_EVERYTHING, chart=find_chart(database), now=now()
        )
        with bar(quiet=quiet) as shown:
            task = shown.add_task("sections", total=len(SECTIONS))
            found: dict[Section, list[MonthEndRow]] = {}
            for section in SECTIONS:
                found[section] = list(month_end_rows(database, wanted, section))
                shown.advance(task)
        if chosen == "json":
            facts = month_end_to_wire(wanted.as_of, wanted.seller.key, found)
            chunks = iter([json.dumps(facts, indent=2, ensure_ascii=False).encode() + b"\n"])
        else:
            chunks = month_end_chunks(found.__getitem__, chosen)
        written = write(chunks, output)
    _tell(written, output, quiet=quiet)


def _tell(written: int, output: Path | None, *, quiet: bool) -> None:
    if output is not None and not quiet:
        err.print(f"{written} bytes in {output}", markup=False, soft_wrap=True)


def _currency(text: str | None) -> str | None:
    if text is not None and text not in CURRENCY_DECIMALS:
        raise typer.BadParameter("an ISO 4217 code", param_hint="--currency")
    return text


def bound(text: str | None) -> Bound | None:
    """The date or the instant that an option names."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if len(text) == len("2026-11-01") else instant(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text} is no date") from error


def write(chunks: Iterable[bytes], output: Path | None) -> int:
    """How many bytes were written: to a file that takes its name once it is whole, or to stdout."""
    written = 0
    if output is None:
        for chunk in chunks:
            written += sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return written
    unfinished = output.with_name(f"{output.name}.unfinished")
    try:
        with unfinished.open("wb") as file:
            for chunk in chunks:
                written += file.write(chunk)
        unfinished.replace(output)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    finally:
        unfinished.unlink(missing_ok=True)
    return written


def _format_of(output: Path | None, formats: tuple[str, ...]) -> str:
    named = "" if output is None else output.name
    return next((one for one in sorted(formats, key=len, reverse=True) if named.endswith(f".{one}")), formats[0])
