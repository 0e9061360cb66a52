"""The file in which events wait: what is in it after a kill, a torn write, a full disk, and with several processes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from quotepart.spool import Spool, SpoolFull, SpoolUnusable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.spool"


@pytest.fixture
def spool(path: Path) -> Iterator[Spool]:
    opened = opened_at(path)
    yield opened
    opened.close()


def opened_at(path: Path, **rest: Any) -> Spool:
    return Spool(path, **({"fsync": False, "max_waiting": 1000} | rest))


def texts(spool: Spool, **rest: int) -> list[str]:
    return [event.text for event in spool.oldest(**({"through": 10**9, "max_events": 99, "max_bytes": 10**6} | rest))]


def test_events_wait_in_the_order_of_sending_until_they_are_settled(spool):
    for text in ("a", "b", "c"):
        spool.add(text)
    two = spool.oldest(through=spool.last(), max_events=2, max_bytes=10**6)

    spool.settle(two[-1].number)

    assert [event.text for event in two] == ["a", "b"]
    assert (texts(spool), spool.waiting()) == (["c"], 1)
    assert (spool.is_settled(two[-1].number), spool.is_settled(spool.last())) == (True, False)


def test_a_number_is_never_given_twice(spool):
    """All are settled, then one more comes: it is not what was settled before."""
    spool.add("a")
    first = spool.last()
    spool.settle(first)
    spool.add("b")

    assert spool.last() > first


def test_a_batch_ends_at_its_size_and_has_one_event_at_least(spool):
    """Four characters and a comma make five bytes: two events fit in ten, one is taken where none fits."""
    for text in ("aaaa", "bbbb", "cccc"):
        spool.add(text)

    assert [texts(spool, max_bytes=size) for size in (10, 9, 1)] == [["aaaa", "bbbb"], ["aaaa"], ["aaaa"]]


def test_what_is_younger_than_asked_for_is_left(spool):
    spool.add("a")
    through = spool.last()
    spool.add("b")

    assert texts(spool, through=through) == ["a"]


def test_no_more_events_wait_than_may(path):
    spool = opened_at(path, max_waiting=2)
    spool.add("a")
    spool.add("b")
    with pytest.raises(SpoolFull):
        spool.add("c")
    spool.settle(1)
    spool.add("d")

    assert texts(spool) == ["b", "d"]
    spool.close()


def test_a_write_that_was_cut_off_takes_nothing_else_with_it(path, spool, tmp_path):
    """The file as a loss of power leaves it: of the third event's write only a part is on disk."""
    for text in ("a", "b", "c"):
        spool.add(text)
    torn = tmp_path / "torn"
    shutil.copyfile(path, torn)
    written = Path(f"{path}-wal").read_bytes()
    Path(f"{torn}-wal").write_bytes(written[:-1000])

    again = opened_at(torn)

    assert texts(again) == ["a", "b"]
    again.add("d")
    assert texts(again) == ["a", "b", "d"]
    again.close()


def test_who_has_the_turn_to_send_has_it_alone(path, spool):
    other = opened_at(path)
    with spool.turn(), other.turn():
        during = (spool.has_turn(), other.has_turn())
    with other.turn():
        after = (spool.has_turn(), other.has_turn())

    assert (during, after) == ((True, False), (False, True))
    other.close()


@pytest.mark.parametrize("fsync, mode", [(False, 1), (True, 2)])
def test_fsync_is_what_sqlite_calls_full(path, fsync, mode):
    spool = opened_at(path, fsync=fsync)

    with spool._run("PRAGMA synchronous") as cursor:
        assert cursor.fetchone() == (mode,)
    spool.close()


def test_only_the_owner_can_read_what_waits_and_what_was_rejected(path, spool, tmp_path):
    spool.add("a")
    spool.keep_rejected(["{}"])
    with spool.turn():
        modes = {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.glob("usage.spool*")}

    assert set(modes.values()) == {"0o600"}
    assert modes.keys() >= {"usage.spool", "usage.spool-wal", "usage.spool.rejected", "usage.spool.turn"}


def test_a_rejected_event_gets_a_line_of_its_own_after_one_that_was_cut_off(spool):
    spool.keep_rejected(['{"event": 1}'])
    os.truncate(spool.rejected_path, 7)
    spool.keep_rejected(['{"event": 2}', '{"event": 3}'])

    torn, *whole = spool.rejected_path.read_text().splitlines()

    assert torn == '{"event'
    assert [json.loads(line) for line in whole] == [{"event": 2}, {"event": 3}]


def test_a_spool_that_can_not_be_written_is_told_at_once(tmp_path):
    (tmp_path / "other.txt").write_text("no database, and longer than the head of one" * 10)

    for place in (tmp_path / "absent" / "usage.spool", tmp_path / "other.txt", tmp_path):
        with pytest.raises(SpoolUnusable):
            opened_at(place)


def test_a_closed_spool_takes_nothing(spool):
    spool.close()

    with pytest.raises(SpoolUnusable):
        spool.add("a")
