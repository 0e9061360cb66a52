"""What `make bench` runs: every figure beside what the same machine can do in the same minutes.

A figure without its ratio says more about the machine than about the service. The table goes to stdout, the same as
JSON to benchmarks/results/.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.garbage import collect_less_often
from app.observability.metrics import RETRIES
from benchmarks import billing
from benchmarks.alerts import ingest_watched, look_at_tenants
from benchmarks.balance import ask_balance
from benchmarks.closing import close_month
from benchmarks.documents import (
    measure_e_invoices_per_second,
    measure_factur_x_per_second,
    measure_pdfs_per_second,
)
from benchmarks.ingestion import Rate, bulk_insert, in_process, over_http, uncounted
from benchmarks.places import Kind, Places, postgresql_server, service
from benchmarks.rating import measure_rating_lines_per_second
from benchmarks.stream import Stream, StreamKind, make_stream

RESULTS = Path(__file__).parent / "results"
PARTS = ("ingestion", "closing", "billing", "balance", "alerts", "rating", "documents")
OF_A_DATABASE = ("ingestion", "closing", "billing", "balance", "alerts")
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
STREAMS: tuple[StreamKind, ...] = ("live", "ordered")


@dataclass(frozen=True)
class Figure:
    """One measurement. `ratio` is to `reference`, larger is better unless `unit` is seconds."""

    name: str
    database: str
    value: float
    unit: str
    ratio: float | None = None
    reference: str = ""
    p50_ms: float = 0
    p99_ms: float = 0


class Bench:
    """Runs the parts, with a progress bar on stderr, and gathers their figures."""

    def __init__(self, options: argparse.Namespace, directory: Path, progress: Progress, server_url: str) -> None:
        self.options = options
        self.figures: list[Figure] = []
        self._directory = directory
        self._progress = progress
        self._task = progress.add_task("", total=None)
        self._server_url = server_url

    def step(self, what: str) -> None:
        self._progress.update(self._task, description=what)

    def done(self) -> None:
        self._progress.advance(self._task)

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        self.done()

    @contextmanager
    def places(self, kind: Kind) -> Iterator[Places]:
        self.step(f"{kind}: {self.options.tenants} tenants")
        directory = self._directory / kind
        directory.mkdir(exist_ok=True)
        places = Places(kind, directory, tenants=self.options.tenants, server_url=self._server_url)
        try:
            yield places
        finally:
            places.close()

    # --- ingestion ---

    def ingestion(self, places: Places) -> None:
        options, kind = self.options, places.kind
        # SQLite has one writer; two connections to PostgreSQL fill each other's waits.
        writers = options.writers or (1 if kind == "sqlite" else 2)
        for name in STREAMS:
            stream = make_stream(name, events=options.events, tenants=options.tenants)
            reference = self._reference(places, stream, before=None)
            local = self._fresh(
                places,
                f"{name}, batches of 1,000",
                lambda url, s=stream: in_process(url, s, size=1000, writers=writers),  # type: ignore[misc]
            )
            remote = self._served(places, f"{name}, batches of 1,000 over HTTP", stream, 1000, options.connections)
            # The machine drifts: the reference is taken on both sides of what it is compared with.
            reference = self._reference(places, stream, before=reference)
            self._add_rate(f"bulk insert, {name}", kind, reference)
            self._add_rate(f"ingest {name}, 1,000 a batch, {writers} writers", kind, local, reference)
            self._add_rate(f"ingest {name}, 1,000 a batch, HTTP", kind, remote, reference)
            if name == "live":
                live = reference
        few = make_stream("live", events=options.single, tenants=options.tenants, prefix="s")
        alone = self._fresh(places, "one row a commit", lambda url: bulk_insert(url, few, size=1))
        local = self._fresh(places, "one event a batch", lambda url: in_process(url, few, size=1, writers=writers))
        remote = self._served(places, "one event a request", few, 1, options.single_connections)
        self._add_rate("insert, 1 row a commit", kind, alone, live)
        self._add_rate(f"ingest live, 1 a batch, {writers} writers", kind, local, live)
        self._add_rate("ingest live, 1 a request, HTTP", kind, remote, live)
        self._compare_commits(places, few, remote)
        if kind == "postgresql":
            self._compare_writing(places)

    def _compare_commits(self, places: Places, few: Stream, grouped: Rate) -> None:
        """What sharing a transaction brings, to many connections and to one."""
        options, kind = self.options, places.kind
        single = self._served(places, "one event a commit", few, 1, options.single_connections, grouped=False)
        self._add_rate("1 a request, no shared commits", kind, single)
        self._add_rate("1 a request, shared commits", kind, grouped, single, "no shared commits")
        short = make_stream("live", events=max(1, options.single // 3), tenants=options.tenants, prefix="o")
        alone = self._served(places, "one connection, one event a commit", short, 1, 1, grouped=False)
        shared = self._served(places, "one connection, shared commits", short, 1, 1)
        self._add_rate("1 a request, 1 connection, no shared commits", kind, alone)
        self._add_rate("1 a request, 1 connection, shared commits", kind, shared, alone, "no shared commits")

    def _compare_writing(self, places: Places) -> None:
        """What it costs to count, and that four writers do not stop each other on one tenant's hour."""
        options, kind = self.options, places.kind
        live, hot = (make_stream(name, events=options.events, tenants=options.tenants) for name in ("live", "hot"))
        bare = self._fresh(places, "without buckets", lambda url: uncounted(url, live, size=1000, writers=2))
        counted = self._fresh(places, "two meters", lambda url: in_process(url, live, size=1000, writers=2))
        self._add_rate("ingest live, buckets left out, 2 writers", kind, bare)
        self._add_rate("ingest live, two meters, 2 writers", kind, counted, bare, "buckets left out")
        before = RETRIES._value.get()
        spread = self._fresh(places, "four writers", lambda url: in_process(url, live, size=1000, writers=4))
        heated = self._fresh(places, "four writers, one tenant", lambda url: in_process(url, hot, size=1000, writers=4))
        self._add_rate("ingest live, 1,000 a batch, 4 writers", kind, spread)
        self._add_rate("ingest hot, 1,000 a batch, 4 writers", kind, heated, spread, "live")
        # A deadlock that a client saw would have ended the run; one that was tried again is a retry.
        self.add(Figure("transactions tried again, 4 writers", kind, RETRIES._value.get() - before, "retries"))

    def _reference(self, places: Places, stream: Stream, *, before: Rate | None) -> Rate:
        found = self._fresh(places, f"{stream.kind}, bulk insert", lambda url: bulk_insert(url, stream))
        return found if before is None else Rate((before.per_second + found.per_second) / 2)

    def _fresh(self, places: Places, what: str, measure: Callable[[str], Rate]) -> Rate:
        self.step(f"{places.kind}: {what}")
        with places.fresh() as url:
            return measure(url)

    def _served(
        self, places: Places, what: str, stream: Stream, size: int, connections: int, *, grouped: bool = True
    ) -> Rate:
        def measure(url: str) -> Rate:
            with service(url, self._directory, grouped=grouped) as running:
                return over_http(url, running.port, stream, size=size, connections=connections)

        return self._fresh(places, what, measure)

    def _add_rate(
        self, name: str, kind: str, rate: Rate, reference: Rate | None = None, named: str = "bulk insert"
    ) -> None:
        ratio = None if reference is None else rate.per_second / reference.per_second
        beside = "" if reference is None else named
        self.add(Figure(name, kind, rate.per_second, "events/s", ratio, beside, rate.p50_ms, rate.p99_ms))

    # --- the rest ---

    def closing(self, places: Places) -> None:
        tenants = self.options.tenants
        self.step(f"{places.kind}: closing {tenants} tenants")
        stream = make_stream("ordered", events=self.options.events, tenants=tenants)
        with places.fresh() as url:
            found = close_month(url, stream, periods=tenants)
        ratio = found.seconds / found.sum_seconds
        self.add(Figure("sum of the same buckets", places.kind, found.sum_seconds, "seconds"))
        self.add(
            Figure(f"close {tenants} tenants", places.kind, found.seconds, "seconds", ratio, "sum of the same buckets")
        )
        self.add(Figure(f"close {tenants} tenants", places.kind, tenants / found.seconds, "issued/s"))

    def balance(self, places: Places) -> None:
        self.step(f"{places.kind}: balance of a tenant with a million events")
        with places.fresh() as url:
            found = ask_balance(url, self._directory, requests=500)
        name = "balance of a tenant with 1 million events this month"
        self.add(Figure(name, places.kind, found.p99_ms, "ms (p99)", None, "", found.p50_ms, found.p99_ms))

    def alerts(self, places: Places) -> None:
        options, kind = self.options, places.kind
        stream = make_stream("live", events=options.events, tenants=options.tenants)
        self.step(f"{kind}: looking at {options.tenants} tenants")
        with places.fresh() as url:
            found = look_at_tenants(url, stream)
        self.add(Figure("look at alerts, nothing to do", kind, found.at_rest, "seconds"))
        self.add(Figure("look at a tenant's quantity", kind, found.per_quantity, "seconds"))
        self.add(Figure("look at a tenant's amount", kind, found.per_amount, "seconds"))

        def measure(watched: bool) -> Rate:
            def work(url: str) -> Rate:
                return ingest_watched(url, self._directory, stream, watched=watched, connections=options.connections)

            return self._fresh(places, f"ingest, {'all' if watched else 'nobody'} watched", work)

        rates = [measure(watched) for watched in (False, True, True, False)]
        bare, watched = Rate((rates[0].per_second + rates[3].per_second) / 2), rates[1:3]
        self._add_rate("ingest live, HTTP, nobody watched", kind, bare)
        both = Rate(sum(item.per_second for item in watched) / 2)
        self._add_rate("ingest live, HTTP, all tenants watched", kind, both, bare, "nobody watched")

    def billing(self, places: Places) -> None:
        """Simulating and closing subscriptions of five charges, beside bare aggregates; see benchmarks/billing.py."""
        options, kind = self.options, places.kind
        many = options.subscriptions
        self.step(f"{kind}: {many} subscriptions of five charges, {many * options.events_each} events")
        with places.empty() as url:
            billing.fill(url, subscriptions=many, events_each=options.events_each)
            for what, named in (
                ("simulate", f"simulate {many} x 5 charges, old and new"),
                ("close", f"close {many} x 5 charges"),
            ):
                self.step(f"{kind}: {named}")
                found = billing.measure(url, what)
                beside = (
                    ("sum of the buckets", found.buckets_seconds), ("sum of the events", found.events_seconds),
                )  # fmt: skip
                for reference, seconds in beside:
                    self.figures.append(
                        Figure(named, kind, found.seconds, "seconds", found.seconds / seconds, reference)
                    )
                self.figures.append(Figure(named, kind, many / found.seconds, "subscriptions/s"))
                self.add(Figure(f"{named}: memory", kind, found.memory_bytes / 2**20, "MiB"))

    def rating(self) -> None:
        self.step("rating")
        self.add(Figure("rate a line of five tiers, with its trace", "", measure_rating_lines_per_second(), "lines/s"))

    def documents(self) -> None:
        self.step("documents")
        self.figures.append(Figure("print an invoice of ten lines", "", measure_pdfs_per_second(), "PDF/s"))
        self.figures.append(
            Figure("write its e-invoice, amounts checked", "", measure_e_invoices_per_second(), "e-invoices/s")
        )
        self.add(Figure("print it with the e-invoice inside", "", measure_factur_x_per_second(), "Factur-X/s"))


def main() -> None:
    options = _options()
    collect_less_often()  # as the service does, whose parts run in this process too
    err = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    version = ""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quotepart-bench-")))
        progress = stack.enter_context(Progress(*columns, console=err, disable=not err.is_terminal))
        server_url = ""
        if "postgresql" in options.database and set(OF_A_DATABASE) & set(options.part):
            own = directory / "server"
            own.mkdir()
            directory.chmod(0o755)  # as root the server runs as another user, who must reach its folder
            server_url = stack.enter_context(postgresql_server(own))
            with psycopg.connect(server_url) as connection:
                version = str(connection.info.parameter_status("server_version"))
        bench = Bench(options, directory, progress, server_url)
        for kind in options.database:
            if set(OF_A_DATABASE) & set(options.part):
                with bench.places(kind) as places:
                    for part in OF_A_DATABASE:
                        if part in options.part:
                            getattr(bench, part)(places)
        for part in ("rating", "documents"):
            if part in options.part:
                getattr(bench, part)()
    _show(bench.figures)
    file = _save(bench.figures, options, version)
    err.print(f"The same as JSON: {file}", highlight=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure, beside what the machine can do."
    )
    parser.add_argument("--events", type=int, default=150_000, help="events of a stream (default 150,000)")
    parser.add_argument("--single", type=int, default=3_000, help="events sent one by one (default 3,000)")
    parser.add_argument("--tenants", type=int, default=1_000, help="tenants (default 1,000)")
    parser.add_argument(
        "--subscriptions", type=int, default=500, help="of five charges each, to be billed (default 500)"
    )
    parser.add_argument("--events-each", type=int, default=200, help="events of each of them (default 200)")
    parser.add_argument(
        "--writers", type=int, default=0, help="writing threads in process (default 1 SQLite, 2 PostgreSQL)"
    )
    parser.add_argument("--connections", type=int, default=4, help="HTTP connections for batches (default 4)")
    parser.add_argument(
        "--single-connections", type=int, default=32, help="HTTP connections for single events (default 32)"
    )
    parser.add_argument("--database", choices=KINDS, action="append", help="only this database; may be repeated")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; may be repeated")
    options = parser.parse_args()
    options.database = options.database or list(KINDS)
    options.part = options.part or list(PARTS)
    if min(options.events, options.single, options.tenants, options.connections, options.single_connections) < 1:
        parser.error("sizes are 1 or more")
    return options


def _show(figures: list[Figure]) -> None:
    table = Table("", "database", "figure", "unit", "ratio", "to", "p50 ms", "p99 ms")
    for column in (2, 4, 6, 7):
        table.columns[column].justify = "right"
    for item in figures:
        times = [f"{value:.1f}" if value else "" for value in (item.p50_ms, item.p99_ms)]
        table.add_row(item.name, item.database, _number(item.value), item.unit, _ratio(item), item.reference, *times)
    out = Console()
    # Into a file or a log the table goes unbroken.
    Console(width=None if out.is_terminal else 130).print(table)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(figure: Figure) -> str:
    if figure.ratio is None:
        return ""
    return f"{figure.ratio:,.{1 if figure.ratio < 10 else 0}f} x" if figure.unit == "seconds" else f"{figure.ratio:.1%}"


def _save(figures: list[Figure], options: argparse.Namespace, postgresql_version: str) -> Path:
    now = datetime.now(UTC)
    result = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(), "system": platform.platform(), "python": sys.version.split()[0],
            "sqlite": sqlite3.sqlite_version, "postgresql": postgresql_version,
        },
        "options": vars(options),
        "figures": [asdict(item) for item in figures],
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{now:%Y-%m-%dT%H%M%SZ}.json"
    file.write_text(json.dumps(result, indent=2) + "\n")
    return file


if __name__ == "__main__":
    main()
