"""A backup that is taken while producers post and periods are billed, and what the database restored from it still
knows: everything acknowledged before, nothing by halves, and how to go on."""

from __future__ import annotations

import os
import random
import re
import resource
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from starlette.testclient import TestClient

from app.domain.errors import BillingError
from app.domain.invoices import Invoice
from app.domain.money import ZERO
from app.main import create_app
from app.operations.authenticate import create_key
from app.operations.run_billing import start_billing_run
from app.settings import Settings
from app.storage import invoice_store, job_store, tenant_store
from app.storage.backup import (
    Backup,
    BackupFailed,
    DatabaseDamaged,
    NothingToBackUp,
    TargetExists,
    TargetUnusable,
    UsePgDump,
    back_up,
)
from app.storage.database import Database
from app.storage.migrate import head_revision
from app.storage.tables import events as events_table
from tests import postgresql
from tests.crash.running import (
    BOUND_SECONDS,
    HEADERS,
    Server,
    api,
    assert_books_are_clean,
    command,
    put,
    utc_now,
    wait_until,
)
from tests.service import ACME, ADMIN_KEY, ENERGY, OPERATOR, PER_UNIT, Api, event, service, set_up

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "backup.md"

COMPANIES = ("acme", "bolt", "cora")
MONTHS = [f"2025-{month:02}" for month in range(1, 9)]
ENDS = [f"{month}-01T00:00:00Z" for month in [*MONTHS[1:], "2025-09"]]
BASE = {"key": "base", "model": {"type": "flat", "amount": "9.90"}}
PRODUCERS = 4
MOST_REQUESTS = 2000  # of one producer: only so that a test that hangs ends


# --- the homes of a database: how each is backed up and restored ------------------------------------------------------


class SQLiteHome:
    def __init__(self, url: str, directory: Path) -> None:
        self.url = url
        self._directory = directory

    def back_up(self) -> Path:
        """A backup made by another process, which waits at each step so that writes come in between."""
        file = self._directory / "backup.db"
        process = get_context("forkserver").Process(target=_back_up_slowly, args=(self.url, str(file)))
        process.start()
        process.join(BOUND_SECONDS)
        assert process.exitcode == 0
        return file

    def restore(self, backup: Path) -> str:
        place = self._directory / "restored"
        place.mkdir()
        shutil.copyfile(backup, place / "quotepart.db")
        return f"sqlite:///{place / 'quotepart.db'}"


class PostgreSQLHome:
    def __init__(self, url: str, directory: Path, empty_database: Callable[[], str]) -> None:
        self.url = url
        self._directory = directory
        self._empty_database = empty_database

    def back_up(self) -> Path:
        """The command that the service names, as somebody would type it."""
        file = self._directory / "quotepart.dump"
        with pytest.raises(UsePgDump) as told:
            back_up(self.url, file)
        asked = str(told.value.facts["command"])
        assert asked in told.value.detail
        run_tool(self.url, *shlex.split(asked))
        return file

    def restore(self, backup: Path) -> str:
        url = self._empty_database()
        run_tool(
            url, "pg_restore", "--no-owner", "--exit-on-error", f"--dbname={sa.make_url(url).database}", str(backup)
        )
        return url


def _back_up_slowly(url: str, file: str) -> None:
    back_up(url, Path(file), progress=lambda _done, _all: time.sleep(0.1))


def run_tool(url: str, *arguments: str, shell_environment: dict[str, str] | None = None) -> None:
    """One of PostgreSQL's tools on the server of this URL, from the binaries that the tests bring."""
    done = subprocess.run(
        arguments, env=tool_environment(url) | (shell_environment or {}), capture_output=True, text=True,
        timeout=BOUND_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def tool_environment(url: str) -> dict[str, str]:
    place = conninfo_to_dict(url)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD"}
    told = {variable: str(place[name]) for name, variable in names.items() if place.get(name)}
    return os.environ | told | {"PATH": f"{postgresql._installed_binaries()}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def empty_database(postgresql_url: str) -> Iterator[Callable[[], str]]:
    """A function that answers the URL of a new PostgreSQL database with nothing in it."""
    made: list[str] = []
    with psycopg.connect(postgresql_url, autocommit=True) as server:

        def create() -> str:
            name = f"restored_{os.getpid()}_{time.time_ns()}"
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            made.append(name)
            return sa.make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)

        yield create
        for name in made:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def dump_tools(postgresql_url: str) -> None:
    """The tools that the tests bring are not older than the server, which QUOTEPART_TEST_POSTGRES_URL may name."""
    said = subprocess.run(
        ["pg_dump", "--version"], env=tool_environment(postgresql_url), capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"(\d+)\.", said)
    with psycopg.connect(postgresql_url) as server:
        if version is None or int(version[1]) < server.info.server_version // 10_000:
            pytest.skip(f"pg_dump does not read a newer server: {said.strip()}, server {server.info.server_version}")


@pytest.fixture
def home(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> SQLiteHome | PostgreSQLHome:
    if database_url.startswith("sqlite"):
        return SQLiteHome(database_url, tmp_path)
    request.getfixturevalue("dump_tools")
    return PostgreSQLHome(database_url, tmp_path, request.getfixturevalue("empty_database"))


# --- the load ---------------------------------------------------------------------------------------------------------


@dataclass
class Sent:
    """One request of a producer: events of any company and month, all kept or none."""

    events: list[Any]
    sent_at: float
    acknowledged_at: float | None = None

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.events]

    def answered_before(self, moment: float) -> bool:
        return self.acknowledged_at is not None and self.acknowledged_at < moment


@dataclass
class Load:
    sent: list[Sent] = field(default_factory=list)
    """in the order in which they were begun, by any producer"""

    def acknowledged(self) -> list[Sent]:
        return [request for request in list(self.sent) if request.acknowledged_at is not None]

    def begun_after(self, moment: float) -> list[Sent]:
        return [request for request in self.acknowledged() if request.sent_at > moment]


def usage_of(rng: random.Random, name: str) -> list[Any]:
    """One to thirty sessions; now and then one takes back 2.0 kWh."""
    return [
        event(
            f"{name}-{n}", subject=rng.choice(COMPANIES),
            time=f"{rng.choice(MONTHS)}-{rng.randrange(2, 28):02}T{rng.randrange(24):02}:00:00Z",
            data={"kwh": str(Decimal(rng.choice((-20, *range(1, 60)))) / 10), "station": str(n % 3)},
        )
        for n in range(rng.randrange(1, 31))
    ]  # fmt: skip


def produce(server: Server, number: int, load: Load) -> None:
    """Posts one request after another until the service is killed."""
    rng = random.Random(number)
    with server.client() as client:
        for turn in range(MOST_REQUESTS):
            request = Sent(usage_of(rng, f"{number}-{turn}"), time.monotonic())
            load.sent.append(request)
            try:
                answer = client.post("/v1/events", json=request.events)
            except httpx.TransportError:
                return  # nobody knows what became of this one
            assert answer.status_code == 200, answer.text
            assert answer.json()["accepted"] == len(request.events)
            request.acknowledged_at = time.monotonic()
            time.sleep(rng.uniform(0, 0.02))


def bill_until_killed(server: Server) -> None:
    """Issues month after month, while use of all months goes on coming."""
    with server.client() as client:
        try:
            for end in ENDS:
                api(client).bill(end)
        except httpx.TransportError:
            return


def set_up_companies(client: httpx.Client) -> None:
    service = api(client)
    put(client, "/v1/tenants/garage", OPERATOR)
    put(client, "/v1/meters/energy", ENERGY)
    plan = {"name": "Standard", "currency": "EUR", "interval": "month", "charges": [PER_UNIT, BASE]}
    put(client, "/v1/plans/standard", plan)
    service.post("/v1/plans/standard/publish", {"effective_at": "2020-01-01T00:00:00Z"})
    for key in COMPANIES:
        put(client, f"/v1/tenants/{key}", ACME | {"name": key, "subjects": []})
        wish = {"tenant": key, "plan": "standard", "start": "2025-01-01", "end": "2025-09-01"}
        put(client, f"/v1/subscriptions/{key}-1", wish)


# --- what a database holds --------------------------------------------------------------------------------------------


def kept_ids(database: Database) -> Counter[str]:
    return database.read(lambda connection: Counter(connection.execute(sa.select(events_table.c.id)).scalars()))


def kwh_of(events: list[Any]) -> dict[str, Decimal]:
    """By company."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for item in events:
        sums[item["subject"]] += Decimal(item["data"]["kwh"])
    return sums


def counted_kwh(service: Api) -> dict[str, Decimal]:
    counted = {key: service.usage("energy", tenant=key) for key in COMPANIES}
    return {key: Decimal(rows[""]) for key, rows in counted.items() if rows}


def documents(database: Database) -> list[Invoice]:
    """All that was issued, in order of issue."""

    def read(connection: sa.Connection) -> list[Invoice]:
        seller = tenant_store.operator(connection)
        assert seller is not None
        stored = invoice_store.in_series(connection, seller.tenant_id, after=0, limit=100_000)
        return [item.invoice for item in stored]

    return database.read(read)


def assert_numbers_and_chain_have_no_gap(issued: list[Invoice]) -> None:
    assert [item.number[5:] for item in issued] == [f"{n:06}" for n in range(1, len(issued) + 1)]
    assert [item.previous_hash for item in issued] == ["", *(item.hash for item in issued)][:-1]


def no_run_is_at_work(database: Database) -> bool:
    return not database.read(lambda connection: job_store.unfinished(connection, ("billing_run",)))


# --- the proof --------------------------------------------------------------------------------------------------------


def test_a_backup_in_the_middle_of_everything_restores_to_whole_books_that_go_on(
    home: SQLiteHome | PostgreSQLHome, tmp_path: Path
) -> None:
    """Four producers post, months are billed, a backup is made, then the service is killed. Restored elsewhere: every
    event acknowledged before the backup began counts, every request is there or is not, what was issued is there.
    Sent again, everything counts once; billed to the end, 0.30 for each kWh and 9.90 for each month are invoiced."""
    load = Load()
    database = Database.open(home.url)
    key = create_key(database, scopes=["read"], now=utc_now())
    database.close()
    with ThreadPoolExecutor(PRODUCERS + 1) as pool:
        with Server(home.url, tmp_path / "serve.log") as server, server.client() as client:
            set_up_companies(client)
            work = [pool.submit(produce, server, number, load) for number in range(PRODUCERS)]
            work.append(pool.submit(bill_until_killed, server))
            wait_until(lambda: len(load.acknowledged()) > 60, "requests to be acknowledged")
            issued = wait_until(lambda: _enough(api(client).invoices(status="issued", limit=1000)), "documents")
            pdf = client.get(f"/v1/invoices/{issued[0]['id']}.pdf").content
            before = {id for request in load.acknowledged() for id in request.ids}
            began = time.monotonic()
            backup = home.back_up()
            ended = time.monotonic()
            wait_until(lambda: len(load.begun_after(ended)) > 20, "requests after the backup")
            server.kill()
        for done in work:
            done.result()
    assert [request for request in load.sent if request.sent_at < ended and not request.answered_before(began)]

    url = home.restore(backup)
    restored = Database.open(url)
    everything = [item for request in load.sent for item in request.events]
    kept = kept_ids(restored)
    assert set(kept.values()) == {1}
    assert before <= kept.keys() < {item["id"] for item in everything}
    assert [request.ids for request in load.sent if 0 < len(kept.keys() & set(request.ids)) < len(request.ids)] == []
    assert_books_are_clean(restored)
    assert_command_succeeds(url, "audit", log=tmp_path / "audit.log")
    known = documents(restored)
    assert_numbers_and_chain_have_no_gap(known)
    assert {(item["number"], item["hash"]) for item in issued} <= {(item.number, item.hash) for item in known}

    with Server(url, tmp_path / "restored.log") as server, server.client() as client:
        service = api(client)
        assert service.call("GET", "/v1/usage?meter=energy", key=key).status_code == 200
        assert client.get(f"/v1/invoices/{issued[0]['id']}.pdf").content == pdf
        assert counted_kwh(service) == kwh_of([item for item in everything if item["id"] in kept])
        assert send_again(client, load) == kept.total()
        assert counted_kwh(service) == kwh_of(everything)
        wait_until(lambda: no_run_is_at_work(restored), "the run that the backup was made in to be finished")
        for _ in range(2):  # what came late to the last month needs a second look
            run = service.bill(ENDS[-1])
            assert (run["status"], run["failed"]) == ("done", 0), run
    now_issued = documents(restored)
    # What was taken back since may have been credited: that stands outside a document's content.
    assert [replace(item, credited=ZERO) for item in now_issued[: len(known)]] == [
        replace(item, credited=ZERO) for item in known
    ]
    assert len(now_issued) > len(known)
    assert_numbers_and_chain_have_no_gap(now_issued)
    assert billed(now_issued) == {
        company: kwh * Decimal("0.30") + len(MONTHS) * Decimal("9.90") for company, kwh in kwh_of(everything).items()
    }
    assert_books_are_clean(restored)
    restored.close()


def _enough(issued: list[Any]) -> list[Any]:
    return issued if len(issued) >= 2 * len(COMPANIES) else []


def send_again(client: httpx.Client, load: Load) -> int:
    """How many events were there already, of everything that was ever sent."""
    duplicates = 0
    for start in range(0, len(load.sent), 40):
        events = [item for request in load.sent[start : start + 40] for item in request.events]
        answer = client.post("/v1/events", json=events).json()
        assert answer["accepted"] + answer["duplicates"] == len(events)
        duplicates += answer["duplicates"]
    return duplicates


def billed(issued: list[Invoice]) -> dict[str, Decimal]:
    """Net, by company: invoices less credit notes."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for item in issued:
        sums[item.buyer.key] += -item.net if item.type == "credit_note" else item.net
    return sums


def assert_command_succeeds(url: str, *arguments: str, log: Path) -> None:
    process = command(url, arguments, log)
    process.join(BOUND_SECONDS)
    assert process.exitcode == 0, log.read_text()


# --- SQLite: what the copy is -----------------------------------------------------------------------------------------


def ingest(client: httpx.Client, ids: list[str], *, padding: int = 0) -> None:
    """Posts one event of each id; its acknowledgement is what a backup must not lose."""
    sent = [event(id, data={"kwh": "1", "note": "x" * padding}) for id in ids]
    answer = client.post("/v1/events", json=sent, headers=HEADERS)
    assert answer.json()["accepted"] == len(ids), answer.text


@pytest.fixture
def serving(sqlite_url: str) -> Iterator[httpx.Client]:
    """The service on a SQLite file of several MiB, with 1 200 events of 1 kWh."""
    with service(sqlite_url) as own:
        set_up(own)
        ingest(own.client, EARLY, padding=4000)
        yield own.client


EARLY = [f"early-{n}" for n in range(1200)]


def ids_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as opened:
        return {row[0] for row in opened.execute("SELECT id FROM events")}


def file_of(url: str) -> Path:
    return Path(str(sa.make_url(url).database))


def test_what_is_written_between_two_steps_neither_enters_the_copy_nor_starts_it_anew(serving, sqlite_url, tmp_path):
    """An event is acknowledged after each step: the copy goes on page by page, and is what the file was at first."""
    target = tmp_path / "backup.db"
    steps: list[tuple[int, int]] = []

    def write_between(done: int, whole: int) -> None:
        assert len(steps) < 100, "it never ends"
        steps.append((done, whole))
        ingest(serving, [f"late-{len(steps)}"])

    made = back_up(sqlite_url, target, progress=write_between)

    assert len(steps) > 3
    assert [done for done, _ in steps] == sorted({done for done, _ in steps}), "it never went back"
    assert steps[-1][0] == steps[-1][1] == made.size_bytes == target.stat().st_size
    assert made == Backup(target, made.size_bytes, made.seconds, head_revision())
    assert ids_in(target) == set(EARLY)
    assert back_up(sqlite_url, tmp_path / "second.db").size_bytes >= made.size_bytes
    assert ids_in(tmp_path / "second.db") == {*EARLY, *(f"late-{n + 1}" for n in range(len(steps)))}


def test_the_copy_is_one_file_for_its_owner_only(serving, sqlite_url, tmp_path):
    place = tmp_path / "a directory"
    place.mkdir()

    back_up(sqlite_url, place / "backup.db")

    assert [path.name for path in place.iterdir()] == ["backup.db"]
    assert stat.S_IMODE((place / "backup.db").stat().st_mode) == 0o600


def test_the_copy_is_on_the_disk_before_it_has_its_name_and_the_name_is_then_too(sqlite_url, tmp_path, monkeypatch):
    target = tmp_path / "backup.db"
    synced: list[tuple[str, bool]] = []
    sync = os.fsync

    def note(descriptor: int) -> None:
        sync(descriptor)
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        synced.append((kind, target.exists()))

    monkeypatch.setattr(os, "fsync", note)
    back_up(sqlite_url, target)

    assert synced == [("file", False), ("directory", True)]


def test_a_copy_of_the_file_alone_lacks_what_was_acknowledged(serving, sqlite_url, tmp_path):
    """Why the page says not to: `cp` finds none of the 1 200 events, for they are in the WAL."""
    subprocess.run(["cp", str(file_of(sqlite_url)), str(tmp_path / "copied.db")], check=True)

    back_up(sqlite_url, tmp_path / "backup.db")

    assert ids_in(tmp_path / "copied.db") == set()
    assert ids_in(tmp_path / "backup.db") == set(EARLY)


def test_a_killed_backup_leaves_no_file_of_its_name_and_the_next_one_succeeds(serving, sqlite_url, tmp_path):
    place = tmp_path / "backups"
    place.mkdir()
    target, begun = place / "backup.db", tmp_path / "begun"
    process = get_context("forkserver").Process(target=_back_up_and_hang, args=(sqlite_url, str(target), str(begun)))
    process.start()
    wait_until(begun.exists, "the backup to be half done")
    ingest(serving, ["meanwhile"])
    process.kill()
    process.join()

    (left,) = place.iterdir()
    assert left.name.startswith(".backup.db.") and left.name.endswith(".unfinished")
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    back_up(sqlite_url, target)
    assert ids_in(target) == {*EARLY, "meanwhile"}


def _back_up_and_hang(url: str, file: str, begun: str) -> None:
    def hang(_done: int, _all: int) -> None:
        Path(begun).touch()
        time.sleep(BOUND_SECONDS)

    back_up(url, Path(file), progress=hang)


# --- SQLite: what is refused ------------------------------------------------------------------------------------------


def refusal(kind: type[BackupFailed], url: str, target: Path, *, replace: bool = False) -> str:
    """What the error says. It is one that the command line reports, and it leaves nothing new behind."""
    before = sorted(target.parent.rglob("*")) if target.parent.exists() else []
    with pytest.raises(BillingError) as told:
        back_up(url, target, replace=replace)
    assert type(told.value) is kind
    assert (sorted(target.parent.rglob("*")) if target.parent.exists() else []) == before
    return told.value.detail


def test_a_name_that_is_taken_stays_as_it_is_unless_it_is_to_be_replaced(sqlite_url, tmp_path):
    target = tmp_path / "backup.db"
    target.write_text("last month's")

    assert refusal(TargetExists, sqlite_url, target) == f"{target} is there already."
    assert target.read_text() == "last month's"
    back_up(sqlite_url, target, replace=True)
    assert ids_in(target) == set()


def test_a_name_taken_while_the_copy_is_made_stays_as_it_is(sqlite_url, tmp_path):
    target = tmp_path / "backup.db"

    with pytest.raises(TargetExists):
        back_up(sqlite_url, target, progress=lambda _done, _all: target.write_text("another's"))

    assert target.read_text() == "another's"


@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_the_database_itself_and_its_files_are_never_the_target(sqlite_url, tmp_path, ending):
    own = file_of(sqlite_url)
    (tmp_path / "alias").symlink_to(tmp_path)

    for name in (own, tmp_path / "alias" / own.name):
        refusal(TargetUnusable, sqlite_url, name.with_name(name.name + ending), replace=True)

    assert ids_in(own) == set()


def test_no_copy_takes_the_name_of_a_database_whose_wal_is_still_there(sqlite_url, tmp_path):
    """SQLite would apply that WAL to the copy."""
    (tmp_path / "other.db-wal").write_bytes(b"pages of another database")

    refusal(TargetUnusable, sqlite_url, tmp_path / "other.db")


def test_a_place_that_cannot_be_written_is_named(sqlite_url, tmp_path):
    (tmp_path / "folder").mkdir()

    assert "no directory" in refusal(TargetUnusable, sqlite_url, tmp_path / "missing" / "backup.db")
    assert "is a directory" in refusal(TargetUnusable, sqlite_url, tmp_path / "folder", replace=True)
    assert "cannot be written" in refusal(TargetUnusable, sqlite_url, tmp_path / ("long" * 100))


def test_only_a_database_of_the_service_is_backed_up(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE alembic_version (version_num TEXT)")

    for name in ("missing.db", "other.db"):
        refusal(NothingToBackUp, f"sqlite:///{tmp_path / name}", tmp_path / "backup.db")
    refusal(NothingToBackUp, "sqlite://", tmp_path / "backup.db")


def test_a_damaged_database_does_not_replace_the_last_good_backup(serving, sqlite_url, tmp_path):
    """Some pages in the middle of the file are overwritten: the copy is made, fails the check, and is not kept."""
    good, broken = tmp_path / "good.db", tmp_path / "broken.db"
    back_up(sqlite_url, good)
    content = bytearray(good.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40_960] = bytes(40_960)
    broken.write_bytes(content)
    kept = good.read_bytes()

    assert "damaged" in refusal(DatabaseDamaged, f"sqlite:///{broken}", good, replace=True)

    assert good.read_bytes() == kept


def test_a_file_that_may_not_grow_is_told_and_leaves_nothing(serving, sqlite_url, tmp_path):
    """The system refuses to write beyond 1 MB (a quota or a limit of the file system); the service goes on."""
    place = tmp_path / "backups"
    place.mkdir()
    process = get_context("forkserver").Process(
        target=_back_up_within_1_mb, args=(sqlite_url, str(place), str(tmp_path))
    )
    process.start()
    process.join(BOUND_SECONDS)

    assert process.exitcode == 0
    assert (tmp_path / "told").read_text().startswith("BackupFailed: The database could not be copied to ")
    assert list(place.iterdir()) == []
    ingest(serving, ["after"])


def _back_up_within_1_mb(url: str, place: str, notes: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    try:
        back_up(url, Path(place) / "backup.db")
    except BackupFailed as error:
        Path(notes, "told").write_text(f"{type(error).__name__}: {error.detail}")


ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from app.storage.backup import NoRoomForBackup, back_up
try:
    back_up(sys.argv[1], Path(sys.argv[2]) / "backup.db")
except NoRoomForBackup as error:
    print(error.detail, os.listdir(sys.argv[2]))
"""


def test_a_full_disk_is_told_and_leaves_nothing(serving, sqlite_url, tmp_path):
    """A file system of 1 MB of the test's own, in a name space of its own."""
    place = tmp_path / "small"
    place.mkdir()
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare")
    mount = shlex.join(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)])
    copy = shlex.join([sys.executable, "-c", ON_A_FULL_DISK, sqlite_url, str(place)])
    done = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", f"{mount} && echo mounted && {copy}"], cwd=ROOT,
        capture_output=True, text=True, timeout=BOUND_SECONDS,
    )  # fmt: skip
    if not done.stdout:
        pytest.skip(f"this machine gives no file system of the test's own: {done.stderr.strip()}")

    assert done.stdout == f"mounted\nThere is no room for the backup in {place}. []\n", done.stderr


def test_the_way_for_postgresql_is_named_without_the_password(tmp_path):
    url = "postgresql://billing:hush-%40-hush@db.example:5433/quote%20part?password=hush-hush&sslmode=require"

    with pytest.raises(UsePgDump) as told:
        back_up(url, tmp_path / "a b.dump")

    words = shlex.split(str(told.value.facts["command"]))
    assert words[:4] == ["pg_dump", "--format=custom", "--no-owner", f"--file={tmp_path / 'a b.dump'}"]
    assert conninfo_to_dict(words[4].removeprefix("--dbname=")) == {
        "user": "billing", "host": "db.example", "port": "5433", "dbname": "quote part", "sslmode": "require",
    }  # fmt: skip
    assert str(told.value.facts["command"]) in told.value.detail
    assert "hush" not in f"{told.value.detail} {told.value.facts}"


# --- numbers that are in the world ------------------------------------------------------------------------------------


def test_drafts_issued_in_the_order_of_the_stored_copies_get_their_numbers_and_other_hashes(sqlite_url, tmp_path):
    """After the backup three companies are billed for October, cora first, and the database is lost. The events are
    sent again, everything is drafted, and each draft is the copy that was kept of a document; issued in the copies'
    order it gets the copy's number. It is not the same document: the date of issue, and so the hash, differ."""
    backup, other = tmp_path / "backup.db", tmp_path / "restored.db"
    october = [event(f"late-{key}-{n}", subject=key, data={"kwh": str(n + 1)}) for n, key in enumerate(COMPANIES)]
    with service(sqlite_url, now="2026-11-02T12:00:00+00:00") as lost:
        set_up_companies_of_2026(lost)
        lost.bill("2026-10-01T00:00:00Z")
        back_up(sqlite_url, backup)
        lost.post("/v1/events", october)
        for key in reversed(COMPANIES):
            lost.bill("2026-11-01T00:00:00Z", tenants=[key])
        copies = sorted(lost.invoices(period_start="2026-09-30T22:00:00Z"), key=lambda item: str(item["number"]))
    assert [copy["buyer"] for copy in copies] == ["cora", "bolt", "acme"]
    shutil.copyfile(backup, other)

    with service(f"sqlite:///{other}", now="2026-11-05T12:00:00+00:00") as restored:
        assert len(restored.invoices(status="issued")) == len(COMPANIES)
        restored.post("/v1/events", october)
        restored.bill("2026-11-01T00:00:00Z", issue=False)
        drafts = {substance(draft): draft["id"] for draft in restored.invoices(status="draft")}
        assert drafts.keys() == {substance(copy) for copy in copies}
        again = [restored.post(f"/v1/invoices/{drafts[substance(copy)]}/issue", {}) for copy in copies]

    assert [item["number"] for item in again] == [copy["number"] for copy in copies]
    assert not {item["hash"] for item in again} & {copy["hash"] for copy in copies}


def set_up_companies_of_2026(api: Api) -> None:
    set_up(api, [PER_UNIT, BASE])
    for key in COMPANIES[1:]:
        api.put(f"/v1/tenants/{key}", ACME | {"name": key, "subjects": []})
        api.put(f"/v1/subscriptions/{key}-1", {"tenant": key, "plan": "standard", "start": "2026-09-01"})


def substance(document: Any) -> str:
    """What a draft and the stored copy of the document have in common."""
    lines = [(line["charge"], line["quantity"], line["amount"]) for line in document["lines"]]
    return repr((document["type"], document["buyer"], document["period"], lines, document["total"]))


def test_a_billing_run_in_the_backup_goes_on_by_itself_unless_jobs_are_off(sqlite_url, tmp_path):
    """A backup is made when a run has been asked for and not begun. Without jobs the restored service leaves it alone;
    with them it issues September and October: so the page says to compare the numbers first."""
    other = tmp_path / "restored.db"
    with service(sqlite_url) as own:
        set_up(own, [BASE])
    database = Database.open(sqlite_url)
    start_billing_run(
        database, through=datetime(2026, 11, 2, tzinfo=UTC), issue=True, dry_run=False,
        now=datetime(2026, 11, 3, tzinfo=UTC),
    )  # fmt: skip
    database.close()
    back_up(sqlite_url, other)
    settings = Settings(database_url=f"sqlite:///{other}", bootstrap_key=ADMIN_KEY, run_jobs=False)

    with TestClient(create_app(settings)) as client:
        for n in range(20):
            ingest(client, [f"late-{n}"])
        assert api(client).invoices() == []
    with TestClient(create_app(replace(settings, run_jobs=True))) as client:
        issued = wait_until(lambda: api(client).invoices(status="issued"), "documents")

    assert [item["number"][5:] for item in issued] == ["000001", "000002"][: len(issued)]


# --- the page ---------------------------------------------------------------------------------------------------------


def commands_of(section: str) -> list[str]:
    """The blocks of shell commands under a heading of the page."""
    text = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)
    (own,) = [part for part in text if part.startswith(f"{section}\n")]
    return re.findall(r"^```sh\n(.*?)^```$", own, flags=re.MULTILINE | re.DOTALL)


def shell(script: str, directory: Path, environment: dict[str, str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=directory, env=environment | {"PATH": path}, capture_output=True, text=True,
        timeout=BOUND_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"


def test_the_commands_of_the_page_restore_a_sqlite_database(serving, sqlite_url, tmp_path):
    directory = file_of(sqlite_url).parent
    environment = os.environ | {"QUOTEPART_DATABASE_URL": "sqlite:///quotepart.db"}
    make, look, swap = commands_of("SQLite")

    shell(make, directory, environment)
    ingest(serving, ["after"])
    shell(look + swap, directory, environment)

    assert ids_in(directory / "quotepart.db") == set(EARLY)


@pytest.mark.usefixtures("dump_tools")
def test_the_commands_of_the_page_restore_a_postgresql_database(postgresql_database_url, empty_database, tmp_path):
    """With the names of databases of the test's own in place of the page's."""
    with service(postgresql_database_url) as own:
        set_up(own)
        own.post("/v1/events", [event("kept")])
    url = empty_database()
    names = {"quotepart": sa.make_url(postgresql_database_url).database, "restored": sa.make_url(url).database}
    dump, restore = (
        re.sub(r"(--dbname=|createdb |sql:///)(\w+)", lambda found: f"{found[1]}{names[found[2]]}", block)
        for block in commands_of("PostgreSQL")
    )
    environment = tool_environment(url)

    shell(dump, tmp_path, environment)
    shell(f"dropdb {names['restored']}\n{restore}", tmp_path, environment)

    database = Database.open(url)
    assert kept_ids(database) == Counter(["kept"])
    database.close()
