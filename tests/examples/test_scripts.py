"""The one command of each example, run as a person runs it: it ends with what its README shows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples.running import DATA, ROOT

EXAMPLES = sorted(script.parent.name for script in (ROOT / "examples").glob("*/run.sh"))
LONGEST_RUN_SECONDS = 600

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is absent")


def shown_end(name: str) -> list[str]:
    """The lines of the block that follows "It ends with" in the example's README."""
    readme = (ROOT / "examples" / name / "README.md").read_text()
    block = re.search(r"^It ends with\n\n```\n(.+?)\n```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert block, f"examples/{name}/README.md does not say what its run.sh ends with"
    return block[1].splitlines()


def free_port() -> int:
    """A port of loopback that nobody listens on, drawn by the system: two who ask at once hardly get the same."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def printed(name: str, work: Path) -> list[str]:
    """What `run.sh` prints, with a place and a port of its own."""
    own = {"WORK": str(work), "PORT": str(free_port()), "DATA": str(DATA), "QUOTEPART": f"{sys.executable} -m app"}
    script = subprocess.Popen(
        [ROOT / "examples" / name / "run.sh"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | own, start_new_session=True,
    )  # fmt: skip
    try:
        output, errors = script.communicate(timeout=LONGEST_RUN_SECONDS)
    finally:
        if script.poll() is None:
            # With the service that it started, which holds its output open.
            os.killpg(script.pid, signal.SIGKILL)
            script.communicate()
    assert script.returncode == 0, f"{output}\n{errors}"
    return output.splitlines()


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each example has its place, by its name."""
    return tmp_path_factory.mktemp("examples")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_ends_with_what_its_readme_shows(name: str, places: Path) -> None:
    end = shown_end(name)

    assert printed(name, places / name)[-len(end) :] == end


def test_an_example_that_is_run_again_adds_nothing(places: Path) -> None:
    if not (places / "cloud").exists():  # where this test is run alone
        printed("cloud", places / "cloud")

    again = printed("cloud", places / "cloud")

    assert "0 created, 0 changed, 0 published, 153 unchanged." in again
    assert "0 periods due, 0 closed, 0 failed." in again
    assert again[-len(shown_end("cloud")) :] == shown_end("cloud")
