"""A producer's client against the real service: every event once, and nothing that is not accepted lost."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quotepart.client import Client, Counters, NotAccepted, SpoolUnusable
from tests.client.running import ABSENT, QUICK, Line, client, kept, session
from tests.crash.running import BOUND_SECONDS, Server, api, wait_until
from tests.service import ADMIN_KEY

NONE = Counters(
    sent=0, accepted=0, duplicates=0, conflicts=0, quarantined=0, rejected=0, retries=0, waiting=0
)  # fmt: skip


def flush(sender: Client) -> None:
    assert sender.flush(BOUND_SECONDS)


def rejected(spool: Path) -> list[Any]:
    return [json.loads(line) for line in spool.with_name("usage.spool.rejected").read_text().splitlines()]


def test_what_was_sent_before_the_flush_is_counted_after_it(server, spool):
    """2.5 kWh, and 0.1 kWh ten times: 3.5 kWh, to the digit."""
    with client(server.url, spool) as sender:
        session(sender, id="first", data={"kwh": Decimal("2.5")})
        with ThreadPoolExecutor(5) as threads:
            ids = list(threads.map(lambda _: session(sender, data={"kwh": Decimal("0.1")}), range(10)))
        flush(sender)

        assert sender.counters() == replace(NONE, sent=11, accepted=11)
    with server.client() as connection:
        assert api(connection).usage("energy", start="2020-01-01", end="2100-01-01") == {"": "3.5"}
    assert kept(server) == dict.fromkeys(["first", *ids], 1)


def test_an_answer_that_was_lost_makes_duplicates_and_nothing_twice(server, line, spool):
    line.faults.extend(["lose", "drop", 503, 429])
    with client(line.url, spool) as sender:
        id = session(sender)
        flush(sender)

        assert sender.counters() == replace(NONE, sent=1, duplicates=1, retries=4)
    assert kept(server) == {id: 1}


def test_a_service_that_says_nothing_is_given_up_and_asked_again(server, line, spool):
    line.faults.append("stall")
    with client(line.url, spool, pace=replace(QUICK, request_seconds=0.3)) as sender:
        id = session(sender)
        wait_until(lambda: sender.counters().retries, "the first request to be given up")
    # The second try may be slow on a busy machine, and has all the time it needs.
    with client(line.url, spool) as sender:
        flush(sender)

    assert kept(server) == {id: 1}


def test_without_a_service_events_wait_for_the_next_start_and_go_first(server, line, spool):
    with client(ABSENT, spool) as sender:
        waited = [session(sender) for _ in range(5)]
        assert not sender.flush(0.1)
        assert sender.counters().waiting == 5
    with pytest.raises(SpoolUnusable):
        session(sender)
    with client(line.url, spool) as sender:
        last = session(sender)
        flush(sender)

    assert [event["id"] for batch in line.batches for event in batch] == [*waited, last]
    assert kept(server) == dict.fromkeys([*waited, last], 1)


def test_what_the_service_does_not_keep_is_kept_beside_the_spool_and_told(server, spool, caplog):
    """Of four events two are accepted. An id may have 255 characters, and what is there already stays."""
    told: list[NotAccepted] = []

    def tell(each: NotAccepted) -> None:
        told.append(each)
        raise LookupError("a callback that fails stops nothing")

    with client(server.url, spool, on_rejected=tell) as sender:
        session(sender, id="good")
        session(sender, id="x" * 256)
        session(sender, id="good", data={"kwh": "1"})
        session(sender, id="better")
        flush(sender)
        wait_until(lambda: len(told) == 2, "both to be told")

        assert sender.counters() == replace(NONE, sent=4, accepted=2, rejected=1, conflicts=1)
    assert kept(server) == {"good": 1, "better": 1}
    assert [(each.status, each.event["id"]) for each in told] == [("rejected", "x" * 256), ("conflict", "good")]
    assert told[0].problem["errors"][0]["pointer"].endswith("/id")
    assert told[1].event["data"] == {"kwh": "1"}
    lines = rejected(spool)
    assert lines == [{"status": each.status, "event": each.event, "problem": each.problem} for each in told]
    assert [record.levelno for record in caplog.records if "kept in" in record.getMessage()] == [logging.ERROR] * 2


def test_a_rejected_event_that_can_not_be_written_down_waits_until_it_can(server, spool):
    """Where its file should be there is a folder, until somebody moves it."""
    spool.parent.joinpath("usage.spool.rejected").mkdir()
    with client(server.url, spool) as sender:
        session(sender, id="x" * 256)
        assert not sender.flush(0.5)
        spool.parent.joinpath("usage.spool.rejected").rmdir()
        flush(sender)

        assert sender.counters() == replace(NONE, sent=1, rejected=1)
    assert [each["event"]["id"] for each in rejected(spool)] == ["x" * 256]


def test_events_in_quarantine_are_the_services_and_are_counted(server, spool, caplog):
    with client(server.url, spool) as sender:
        session(sender, subject="nobody")
        flush(sender)

        assert sender.counters() == replace(NONE, sent=1, quarantined=1)
    assert "1 events in quarantine: unknown_tenant" in caplog.messages


def test_what_a_person_must_mend_loses_nothing_and_is_told_loudly(server, line, spool, caplog):
    line.faults.extend([401, 403, 404])
    with client(line.url, spool) as sender:
        id = session(sender)
        flush(sender)

    assert kept(server) == {id: 1}
    loud = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [re.match(r"events wait: (\d+) ", sentence)[1] for sentence in loud] == ["401", "403", "404"]  # type: ignore[index]


def test_a_batch_that_is_too_large_goes_in_parts(server, line, spool):
    """Ten wait, and the service takes three: no request that is taken has more, and each event is there once."""
    line.most_events = 3
    with client(ABSENT, spool) as sender:
        ids = [session(sender) for _ in range(10)]
    with client(line.url, spool) as sender:
        flush(sender)

        assert sender.counters() == replace(NONE, accepted=10)
    assert kept(server) == dict.fromkeys(ids, 1)
    assert max(map(len, line.batches)) == 10


def test_an_event_that_nobody_can_read_does_not_hold_up_its_neighbours(server, line, spool):
    line.unreadable = "poison"
    with client(ABSENT, spool) as sender:
        ids = [session(sender, id="poison" if n == 4 else str(n)) for n in range(9)]
    with client(line.url, spool) as sender:
        flush(sender)

        assert sender.counters() == replace(NONE, accepted=8, rejected=1)
    assert kept(server) == dict.fromkeys(set(ids) - {"poison"}, 1)
    assert [(each["event"]["id"], each["problem"]) for each in rejected(spool)] == [
        ("poison", {"detail": "The body is not JSON."})
    ]


def test_a_full_batch_goes_before_its_time(server, spool):
    """Events would linger for an hour; the tenth of ten fills the batch."""
    slow = replace(QUICK, linger_seconds=3600, batch_events=10)
    with client(server.url, spool, pace=slow) as sender:
        flush(sender)
        ids = [session(sender) for _ in range(10)]
        wait_until(lambda: sender.counters().waiting == 0, "the batch to be settled")

    assert kept(server) == dict.fromkeys(ids, 1)


def test_a_client_that_can_not_work_is_told_of_at_once(spool, tmp_path):
    with pytest.raises(ValueError, match="no address"):
        Client("127.0.0.1:8000", api_key=ADMIN_KEY, spool=spool)
    with pytest.raises(SpoolUnusable):
        Client(ABSENT, api_key=ADMIN_KEY, spool=tmp_path / "absent" / "usage.spool")


_FAULTS = st.sampled_from(["drop", "lose", 429, 500, 503, 408, 401])
_STEPS = st.lists(
    st.one_of(st.integers(1, 12), _FAULTS.map(lambda fault: ("fault", fault)), st.sampled_from(["restart", "flush"])),
    max_size=25,
)  # fmt: skip


def test_whatever_fails_in_between_the_service_ends_with_exactly_what_was_sent(server: Server, line: Line) -> None:
    """Any order of sending, failures of the line, flushes and restarts of the producer, in batches of up to
    five where the service takes three."""
    line.most_events = 3
    sent: list[str] = []
    pace = replace(QUICK, batch_events=5, first_pause_seconds=0.001, longest_pause_seconds=0.002,
                   lasting_pause_seconds=0.002)  # fmt: skip

    @settings(max_examples=25)
    @given(steps=_STEPS)
    def holds(steps: list[Any]) -> None:
        line.faults.clear()
        with tempfile.TemporaryDirectory() as directory:
            spool = Path(directory) / "usage.spool"
            sender = client(line.url, spool, pace=pace)
            for step in steps:
                match step:
                    case int():
                        sent.extend(session(sender) for _ in range(step))
                    case "restart":
                        sender.close()
                        sender = client(line.url, spool, pace=pace)
                    case "flush":
                        flush(sender)
                    case _, fault:
                        line.faults.append(fault)
            flush(sender)
            assert sender.counters().waiting == 0
            sender.close()
        assert kept(server) == dict.fromkeys(sent, 1)

    holds()
