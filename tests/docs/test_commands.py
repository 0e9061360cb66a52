"""The README's tour and the tutorial, typed as they stand: every command works, and answers what the page says.

A page's blocks run one after another in one shell, as they would for somebody who copies them. The one thing changed is
the port, as 8000 may be taken. An answer that a page shows must be found in what its commands wrote, line by line and
in order; `…` stands for anything.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, Step, remarks, steps

_LONGEST_SECONDS = 600


def tour() -> list[Step]:
    """From the tour on: the commands before it would run the tests themselves."""
    return steps((ROOT / "README.md").read_text().partition("## A short tour")[2])


def tutorial() -> list[Step]:
    return steps((ROOT / "docs" / "tutorial.md").read_text())


def typed(page: list[Step], directory: Path) -> list[str]:
    """What each step wrote, errors included. Fails where a command does."""
    commands = "".join(f"echo '@@@'\n{step.commands}" for step in page)
    code, written = ran(f"set -euo pipefail\n{_with_port(commands, _free_port())}", ROOT, directory)
    assert code == 0, written
    return written.split("@@@\n")[1:]


def _with_port(commands: str, port: int) -> str:
    for old, new in (
        ("127.0.0.1:8000", f"127.0.0.1:{port}"),
        ("quotepart serve", f"quotepart serve --port {port}"),
        ("quotepart import", f"quotepart import --url http://127.0.0.1:{port}"),
    ):
        commands = commands.replace(old, new)
    return commands


def ran(commands: str, place: Path, temporary: Path) -> tuple[int, str]:
    """The exit code of the commands, typed in `place`, and what they wrote, errors included."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("QUOTEPART_")}
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-c", commands], cwd=place, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env=environment | {"PATH": path, "TMPDIR": str(temporary), "no_proxy": "*", "NO_PROXY": "*"},
    )  # fmt: skip
    try:
        written, _ = shell.communicate(timeout=_LONGEST_SECONDS)
    finally:
        _end(shell)
    return shell.returncode, written


def _end(shell: subprocess.Popen[str]) -> None:
    """Ends all that the page started: where it broke off, the service is still there."""
    with suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGKILL)
    shell.wait()


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


def missing(answer: str, written: str) -> list[str]:
    """The first line of the answer that is not in what was written, where it ought to be, and all after it."""
    expected = answer.splitlines()
    lines: Iterator[str] = iter(written.splitlines())
    for number, line in enumerate(expected):
        pattern = ".*".join(map(re.escape, line.rstrip().split("…")))
        if not any(re.fullmatch(pattern, other.rstrip()) for other in lines):
            return expected[number:]
    return []


def test_an_answer_is_missed_where_it_is_not_there_or_in_another_order():
    assert missing("a\n…\nc 1…\n", "x\na\nb\nc 123\n") == []
    assert missing("a\nd\n", "a\nb\nc\n") == ["d"]
    assert missing("b\na\n", "a\nb\n") == ["a"]
    assert missing("total 44.40\n", "total 44.41\n") == ["total 44.40"]


@pytest.mark.parametrize("page", [tour, tutorial])
def test_every_command_works_and_answers_what_the_page_says(page, tmp_path):
    found = page()
    assert 'cd "$(mktemp -d)"' in found[0].commands, "it would make its files in the project itself"
    assert sum(len(step.answers) for step in found) >= 3

    for step, written in zip(found, typed(found, tmp_path), strict=True):
        for answer in step.answers:
            assert missing(answer, written) == [], f"{step.commands}\nwrote\n{written}"
    (document,) = tmp_path.rglob("*.pdf")
    assert document.read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize(("page", "total"), [(tour, "44.40 EUR"), (tutorial, "birch 32.30 38.44 EUR")])
def test_the_pages_say_what_it_comes_to(page, total):
    assert any(total in answer for step in page() for answer in step.answers)


@pytest.mark.parametrize("page", [tour, tutorial])
def test_the_wait_for_the_service_ends_where_its_port_is_taken(page, tmp_path):
    """It says why, as the service wrote it."""
    (start,) = (step.commands for step in page() if "quotepart serve" in step.commands)
    lines = start.splitlines()
    wait = next(number for number, line in enumerate(lines) if line.startswith("until "))
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        until_ready = _with_port("\n".join(lines[: wait + 1]), other.server_port)
        _, written = ran(f"quotepart migrate\n{until_ready}", tmp_path, tmp_path)
        other.shutdown()

    assert "cannot listen on 127.0.0.1" in written


# --- pasted into another shell ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", sorted(PAGES))
def test_no_command_has_a_remark_as_zsh_would_run_it(page):
    assert remarks((ROOT / page).read_text()) == []


def test_a_remark_is_found_but_not_in_what_a_command_reads():
    page = "```sh\n# one\ncat > a <<'END'\n# read\nx  # read\nEND\nls  # two\necho a#b\n```\n```yaml\n# other\n```\n"

    assert remarks(page) == ["# one", "ls  # two"]
