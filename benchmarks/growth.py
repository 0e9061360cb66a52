"""Does the rate stay, and the service's memory, while the events that are kept grow from one million to twenty?

    QUOTEPART_GROWTH_EVENTS=2000000 python -m benchmarks.growth

The service itself keeps every event, posted in batches of 1,000 to PostgreSQL: no row is made by other means, so
tables, indexes and buckets have grown as they would have. Each slice's use lies all over one month; a tenant's buckets
are soon all there, and from then on are only added to. What is sent is made between the slices, outside the time.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.storage.database import Database
from benchmarks.ingestion import kept_and_counted, post_over_http
from benchmarks.places import Places, postgresql_server, service
from benchmarks.stream import make_stream

SLICE = 100_000
STEPS = 20
BAR = 0.6
MAX_GROWTH_MIB = 200
TENANTS = 1_000
CONNECTIONS = 4


def grow(events: int, directory: Path, out: Console) -> bool:
    """Fills a database with so many events, prints what it saw, and says whether the rate and the memory held."""
    slices = max(STEPS, events // SLICE)
    table = Table("events kept", "events/s", "to the first", "memory of the service, MiB")
    rates: list[float] = []
    memories: list[int] = []
    own = directory / "server"
    own.mkdir()
    directory.chmod(0o755)  # as root the server runs as another user, who must reach its folder
    with postgresql_server(own) as server_url:
        places = Places("postgresql", directory, tenants=TENANTS, server_url=server_url)
        with places.fresh() as url, service(url, directory) as running:
            sent, seconds, since = 0, 0.0, 0
            for number in range(slices):
                stream = make_stream(
                    "ordered", events=events // slices, tenants=TENANTS, prefix=f"g{number}", seed=number
                )
                rate = post_over_http(running.port, stream, size=1_000, connections=CONNECTIONS)
                sent, since = sent + stream.distinct, since + stream.distinct
                seconds += stream.distinct / rate.per_second
                if (number + 1) * STEPS // slices > number * STEPS // slices:
                    rates.append(since / seconds)
                    memories.append(_memory_mib(running.pid))
                    seconds, since = 0.0, 0
                    out.print(f"{sent:,} kept: {rates[-1]:,.0f} events/s, {memories[-1]} MiB", highlight=False)
                    table.add_row(f"{sent:,}", f"{rates[-1]:,.0f}", f"{rates[-1] / rates[0]:.0%}", str(memories[-1]))
            database = Database.open(url)
            found = database.read(kept_and_counted)
            database.close()
        places.close()
    if found != (sent, [sent] * 2):
        raise AssertionError(f"{sent} distinct events were sent; kept and counted: {found}")
    Console().print(table)
    ratio, grown = rates[-1] / rates[0], memories[-1] - memories[0]
    out.print(
        f"the last rate is {ratio:.0%} of the first (bar: {BAR:.0%}); memory grew by {grown} MiB", highlight=False
    )
    return ratio >= BAR and grown <= MAX_GROWTH_MIB


def _memory_mib(pid: int) -> int:
    found = re.search(r"^VmRSS:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def main() -> None:
    events = int(os.environ.get("QUOTEPART_GROWTH_EVENTS", "20000000"))
    with tempfile.TemporaryDirectory(prefix="quotepart-growth-") as directory:
        if not grow(events, Path(directory), Console(stderr=True)):
            sys.exit(1)


if __name__ == "__main__":
    main()
