"""The one command of each example says what it needs, before it makes anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.examples.running import ROOT


@pytest.mark.parametrize(
    ("name", "file"),
    [("llm", "azure_llm_2023_code.csv.gz"), ("washing", "dorm_washing_machines.csv"),
     ("bikes", "bikeshare_bayarea_2014-11.csv.gz"), ("cloud", "focus_1_0_sample.csv"),
     ("rooms", "office_room_917810_raw_properties.csv.gz")],
)  # fmt: skip
def test_an_absent_file_is_named_and_nothing_is_made(name: str, file: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    done = subprocess.run(
        [ROOT / "examples" / name / "run.sh"], capture_output=True, text=True, timeout=30,
        env=os.environ | {"DATA": str(tmp_path), "WORK": str(work)},
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{tmp_path / file} is absent" in done.stderr
    assert f"examples/{name}/README.md" in done.stderr
    assert (ROOT / "examples" / name / "README.md").exists()
    assert not work.exists()
