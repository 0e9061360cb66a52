"""Producers that are killed, that share a spool, fork, end, or fill their disk: what `send` took is there once."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.client.running import ABSENT, client, kept
from tests.crash.running import BOUND_SECONDS, Server
from tests.docs.pages import ROOT

KILLS = 5


def producer(mode: str, url: str, spool: Path, name: str = "a") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.client.producer", mode, url, str(spool), name], cwd=ROOT, text=True,
        stdout=subprocess.PIPE,
    )  # fmt: skip


def told(process: subprocess.Popen[str]) -> list[str]:
    """The ids that a producer told until it ended, which it did well."""
    said, _ = process.communicate(timeout=BOUND_SECONDS)
    assert process.returncode == 0
    return said.split()


def sent_on(server: Server, spool: Path) -> Counter[str]:
    """What the service keeps once everything that the spool still has is settled."""
    with client(server.url, spool) as sender:
        assert sender.flush(BOUND_SECONDS)
    return kept(server)


def test_a_producer_that_is_killed_loses_nothing_that_it_sent(server, spool):
    """Killed five times in the middle: of every kill at most one event more, whose `send` had no time to return."""
    rng = random.Random(1)
    sent: list[str] = []
    for _ in range(KILLS):
        process = producer("endless", server.url, spool)
        assert process.stdout is not None
        sent.extend(process.stdout.readline().strip() for _ in range(rng.randrange(20, 400)))
        process.kill()
        # What it told and nobody has read yet was sent as well; the last line may be torn.
        sent.extend(line.strip() for line in process.stdout if line.endswith("\n"))
        process.wait()
        process.stdout.close()

    there = sent_on(server, spool)

    assert set(there.values()) == {1}
    assert set(sent) - there.keys() == set()
    assert len(there.keys() - set(sent)) <= KILLS


def test_two_producers_share_a_spool(server, spool):
    both = [producer("many", server.url, spool, name) for name in ("a", "b")]

    sent = [id for process in both for id in told(process)]

    assert len(sent) == 400
    assert sent_on(server, spool) == dict.fromkeys(sent, 1)


def test_a_client_goes_through_a_fork(server, spool):
    """3 events before the forks, 50 in the parent and in each of 3 children: 203."""
    assert told(producer("forks", server.url, spool)) == []

    there = sent_on(server, spool)

    assert (len(there), set(there.values())) == (203, {1})


def test_a_child_goes_on_when_its_parent_has_closed(server, spool):
    """One event before the fork, one after it, and one when the parent has closed the file."""
    sent = told(producer("outlives", ABSENT, spool))

    assert len(sent) == 3
    assert sent_on(server, spool) == dict.fromkeys(sent, 1)


def test_a_producer_that_ends_sends_what_it_has(server, spool):
    sent = told(producer("ends", server.url, spool))

    assert kept(server) == dict.fromkeys(sent, 1)


def test_a_full_disk_is_told_where_it_is_met_and_takes_nothing_with_it(server, spool):
    sent = told(producer("full", ABSENT, spool))

    assert len(sent) > 10
    assert sent_on(server, spool) == dict.fromkeys(sent, 1)
