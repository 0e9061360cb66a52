"""What a person sees of `quotepart import`: on the terminal, in its exit code, and beside the file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.importing.fake_service import MAPPING, FakeService

ROOT = Path(__file__).parents[2]


class Command:
    """The command on a file of usage, and the service at a port of loopback."""

    def __init__(self, folder: Path, url: str) -> None:
        self.service = FakeService()
        self.url = url
        self.path = folder / "usage.csv"
        self._mapping = folder / "mapping.yaml"
        self._mapping.write_text(MAPPING)

    def rows(self, *rows: str) -> None:
        self.path.write_text("\n".join(["n,tenant,kwh,time", *(f"{row},2026-01-01T00:00:00Z" for row in rows)]) + "\n")

    def start(self, *options: str) -> subprocess.Popen[str]:
        arguments = ["import", str(self.path), "--mapping", str(self._mapping), "--url", self.url, *options]
        return subprocess.Popen(
            [sys.executable, "-m", "app", *arguments], cwd=ROOT, env=os.environ | {"QUOTEPART_API_KEY": "secret"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *options: str) -> tuple[int, str, str]:
        """Exit code, stdout and stderr."""
        command = self.start(*options)
        output, errors = command.communicate(timeout=60)
        return command.returncode, output, errors


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            answer = made.service.answer(httpx.Request("POST", made.url, content=content))
            self.send_response(answer.status_code)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Command(tmp_path, f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def test_rows_that_were_not_accepted_are_said_to_be_listed(command: Command) -> None:
    """One is accepted, one quarantined, one unmapped: two to look at, and the import did what it could."""
    command.rows("1,acme,1", "2,unclaimed,1", "3,acme,x")

    code, output, _ = command.run()

    assert code == 0
    assert f"2 rows were not accepted; why: {command.path}.not-accepted.csv" in output.splitlines()


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_who_wants_no_remarks_gets_none(command: Command, option: str) -> None:
    command.rows("1,unclaimed,1")

    code, output, errors = command.run(option)

    assert (code, errors) == (0, "") and "not accepted" not in output


def test_a_file_of_which_no_row_is_wanted_is_said_so(command: Command) -> None:
    command.rows("1,acme,", "2,acme,")

    code, output, _ = command.run()

    assert code == 0 and output.splitlines()[-1] == "no row met `when`"


def test_a_service_that_does_not_run_is_said_at_once(command: Command) -> None:
    """Two attempts, less than a second apart; with --quiet the error alone."""
    command.rows("1,acme,1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        command.url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, _, errors = command.run()
        quiet_code, _, quiet_errors = command.run("--quiet")

    assert (code, quiet_code) == (1, 1)
    told, error = errors.splitlines()
    assert told.startswith(f"{command.url} does not answer") and told.endswith("trying again in 1 s (2 of 2)")
    assert error.startswith(f"error: Nothing answers at {command.url} (")
    assert quiet_errors.splitlines() == [error]


def test_an_import_that_is_stopped_says_how_far_it_is(command: Command) -> None:
    """Ctrl-C while the second batch of one row is under way; the same command sends the rest."""
    command.rows("1,acme,1", "2,acme,1", "3,acme,1")
    second, go_on = threading.Event(), threading.Event()

    def hold(number: int, events: object) -> None:
        if number == 2:
            second.set()
            go_on.wait(30)

    command.service.before = hold
    stopped = command.start("--batch-size", "1")
    assert second.wait(30)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate(timeout=120)
    go_on.set()

    assert stopped.returncode == 130
    assert errors.splitlines() == ["Stopped. 1 rows are acknowledged; the same command goes on from there."]
    command.service.before = lambda number, events: None
    assert command.run("--batch-size", "1")[0] == 0
    assert sorted(command.service.kept) == ["1", "2", "3"]
