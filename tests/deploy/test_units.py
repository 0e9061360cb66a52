"""The systemd units: read by systemd itself, and bound alike."""

from __future__ import annotations

import shutil

import pytest

from tests.deploy import files

PROGRAM = "/opt/quotepart/bin/quotepart"
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def complaints(path, directory, text=None):
    """What systemd says of a unit. Its exit code is 0 for an unknown name too; and the program must be there."""
    copy = directory / path.name
    copy.write_text((text or path.read_text()).replace(PROGRAM, shutil.which("true") or "/bin/true"))
    return files.run("systemd-analyze", "verify", "--man=no", copy).stderr


@needs_systemd
@pytest.mark.parametrize("path", files.UNITS, ids=lambda path: path.name)
def test_systemd_reads_it_without_a_word(tmp_path, path):
    assert complaints(path, tmp_path) == ""


@needs_systemd
@pytest.mark.parametrize("path", files.UNITS, ids=lambda path: path.name)
@pytest.mark.parametrize(
    "right, wrong, said",
    [
        ("NoNewPrivileges=", "NoNewPrivilege=", "NoNewPrivilege"),
        ("ProtectSystem=strict", "ProtectSystem=strickt", "strickt"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@sytem-service", "sytem-service"),
        ("[Service]", "[Servce]", "Servce"),
    ],
)
def test_systemd_complains_of_what_is_misspelt(tmp_path, path, right, wrong, said):
    text = path.read_text()
    assert right in text

    assert said in complaints(path, tmp_path, text.replace(right, wrong))


def test_there_is_one_for_the_service_and_one_for_its_jobs():
    assert [path.name for path in files.UNITS] == ["quotepart-work.service", "quotepart.service"]


def test_both_run_as_the_same_user_on_the_same_files_within_the_same_bounds():
    """A SQLite file, its -wal and its lock are shared by all who open it."""
    own = {"Description", "ExecStart"}
    first, second = (
        {name: value for name, value in files.unit(path).items() if name not in own} for path in files.UNITS
    )

    assert first == second
    assert first["User"] == ["quotepart"]
    assert first["CapabilityBoundingSet"] == [""]


@pytest.mark.parametrize("path", files.UNITS, ids=lambda path: path.name)
def test_no_unit_migrates(path):
    """An upgrade of the database is decided by somebody, not by a restart."""
    assert [name for name in files.unit(path) if name.startswith("Exec")] == ["ExecStart"]
