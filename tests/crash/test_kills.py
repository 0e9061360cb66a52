"""The service, or the database under it, is killed at any instant under load: no event is lost and none is doubled.

Five times each here. QUOTEPART_SOAK=1 makes it 100 of the service on each database and 20 of PostgreSQL, five to a
fresh database, with a line for each on stderr (`pytest -s`) and another seed each time, which is the first line;
QUOTEPART_SEED takes up one that was printed.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from app.storage import migrate
from app.storage.database import Database
from tests import postgresql
from tests.crash.load import Ledger, assert_nothing_lost_or_doubled, load, resend
from tests.crash.running import Server, api, wait_until
from tests.service import event, set_up

SOAK = os.environ.get("QUOTEPART_SOAK") == "1"
KILLS = 5
SERVICE_TURNS, SERVER_TURNS = (20, 4) if SOAK else (1, 1)
SEED = int(os.environ.get("QUOTEPART_SEED", random.SystemRandom().randrange(1_000_000) if SOAK else 5))


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def told(ledger: Ledger) -> str:
    return f"{len(ledger.kept)} events acknowledged, {len(ledger.unanswered)} requests unanswered"


@pytest.mark.parametrize("turn", range(SERVICE_TURNS))
def test_a_service_that_is_killed_again_and_again_loses_and_doubles_nothing(
    database_url: str, tmp_path: Path, turn: int
) -> None:
    rng, ledger, log = random.Random(SEED + turn), Ledger(), tmp_path / "serve.log"
    say(f"\nseed {SEED + turn}")
    database = Database.open(database_url)
    for round in range(KILLS):
        with Server(database_url, log) as server:
            if round == 0:
                with server.client() as client:
                    set_up(api(client))
            with load(server, ledger, rng, round=round) as running:
                running.wait_for(rng.randrange(1, 2000))
                time.sleep(rng.uniform(0, 0.05))
                server.kill()
        say(f"kill {round + 1} of {KILLS}: {told(ledger)}")
        assert_nothing_lost_or_doubled(database, ledger)
    with Server(database_url, log) as server:
        resend(server, ledger)
    assert_nothing_lost_or_doubled(database, ledger)
    database.close()


@pytest.fixture
def own_server() -> Iterator[Path]:
    """The directory of a PostgreSQL of the test's own that keeps what it committed."""
    directory = Path(tempfile.mkdtemp(prefix="quotepart-"))
    try:
        postgresql.start(directory, durable=True)
        yield directory
    finally:
        postgresql.stop(directory)
        shutil.rmtree(directory, ignore_errors=True)


def new_database(directory: Path) -> str:
    url = sa.make_url("postgresql://postgres@/").update_query_dict({"host": str(directory)})
    with psycopg.connect(url.set(database="postgres").render_as_string(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE quotepart")
    own = url.set(database="quotepart").render_as_string()
    migrate.upgrade(own)
    return own


def runs_again(directory: Path) -> bool:
    """A server that was killed starts as soon as the last of its processes has ended."""
    try:
        postgresql.resume(directory)
    except postgresql.PostgreSQLDoesNotStart:
        return False
    return True


@pytest.mark.parametrize("turn", range(SERVER_TURNS))
def test_a_database_that_is_killed_again_and_again_loses_and_doubles_nothing(
    own_server: Path, tmp_path: Path, turn: int
) -> None:
    """The service goes on meanwhile: who sends is told to come again, or nothing at all."""
    rng, ledger, url = random.Random(SEED + turn), Ledger(), new_database(own_server)
    say(f"\nseed {SEED + turn}")
    database = Database.open(url)
    with Server(url, tmp_path / "serve.log") as server:
        with server.client() as client:
            set_up(api(client))
        for round in range(KILLS):
            with load(server, ledger, rng, round=round) as running:
                running.wait_for(rng.randrange(1, 2000))
                end_it = rng.choice((postgresql.stop, postgresql.kill))
                end_it(own_server)
                wait_until(lambda: runs_again(own_server), "the server to start")
                running.wait_for(rng.randrange(1, 200))
            say(f"{end_it.__name__} {round + 1} of {KILLS}: {told(ledger)}")
            resend(server, ledger)
            assert_nothing_lost_or_doubled(database, ledger)
    database.close()


def test_who_posts_while_the_database_is_away_is_told_to_come_again(own_server: Path, tmp_path: Path) -> None:
    url = new_database(own_server)
    with Server(url, tmp_path / "serve.log") as server, server.client() as client:
        set_up(api(client))
        postgresql.stop(own_server)
        answer = client.post("/v1/events", json=[event("e-1")])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
