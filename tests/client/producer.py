"""Producers as processes of their own: `python producer.py MODE URL SPOOL NAME`. Each id is told once `send` returned.

`endless` sends until it is killed; `many` sends 200 and flushes; `forks` sends before a fork and after it, in four
processes; `outlives` has a child that goes on when its parent has closed; `ends` sends and ends without a word;
`full` sends until its disk is full.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from quotepart.client import Client, SpoolUnusable
from tests.client.running import client, session
from tests.crash.running import BOUND_SECONDS


def endless(sender: Client, name: str) -> None:
    while True:
        tell(session(sender))


def many(sender: Client, name: str) -> None:
    for number in range(200):
        tell(session(sender, id=f"{name}-{number}"))
    flush(sender)


def forks(sender: Client, name: str) -> None:
    children = []
    for child in range(3):
        session(sender, id=f"{name}-before-{child}")
        pid = os.fork()
        if pid == 0:
            for number in range(50):
                session(sender, id=f"{name}-{child}-{number}")
            flush(sender)
            assert sender.counters().sent == 50
            os._exit(0)
        children.append(pid)
    for number in range(50):
        session(sender, id=f"{name}-parent-{number}")
    flush(sender)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


def outlives(sender: Client, name: str) -> None:
    """The parent closes while its child goes on: the file must not be closed under the child."""
    tell(session(sender))
    (begun, begin), (closed, close) = os.pipe(), os.pipe()
    if os.fork() == 0:
        tell(session(sender))
        os.write(begin, b".")
        os.read(closed, 1)
        tell(session(sender))
        os._exit(0)
    os.read(begun, 1)
    sender.close()
    os.write(close, b".")
    assert os.wait()[1] == 0


def ends(sender: Client, name: str) -> None:
    tell(session(sender))


def full(sender: Client, name: str) -> None:
    """The system lets no file of this process grow over 200 kB; then it does."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
    try:
        while True:
            tell(session(sender, data={"kwh": "1", "note": "x" * 2_000}))
    except SpoolUnusable:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    tell(session(sender))


def flush(sender: Client) -> None:
    assert sender.flush(BOUND_SECONDS)


def tell(id: str) -> None:
    sys.stdout.write(f"{id}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    mode, url, spool, name = sys.argv[1:]
    # Not closed: what a process does that comes to its end is told by `ends`.
    sender = client(url, Path(spool), close_seconds=BOUND_SECONDS if mode == "ends" else 0)
    modes = {"endless": endless, "many": many, "forks": forks, "outlives": outlives, "ends": ends, "full": full}
    modes[mode](sender, name)
