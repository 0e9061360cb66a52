"""What the tests of the pages share: which pages there are, and what they say as code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("deploy/**/*.md"),
    )
)

_FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEREDOC = re.compile(r"<<'?(\w+)'?\n.*?^\1$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(`+)(.+?)\1", re.DOTALL)


def fences(text: str) -> list[tuple[str, str]]:
    """The blocks of code of a page with their language, '' where none is named."""
    return [(language, block) for _, language, block in _FENCE.findall(text)]


def code(text: str) -> list[str]:
    """All that a page says as code: its blocks, and what stands between backticks in its sentences."""
    between = _FENCE.sub("", text)
    return [block for _, block in fences(text)] + [inline for _, inline in _INLINE.findall(between)]


def remarks(text: str) -> list[str]:
    """The lines of the `sh` blocks with a `#` remark, but for what a command reads from the page (`<<END`)."""
    shells = (_HEREDOC.sub("", block) for language, block in fences(text) if language == "sh")
    return [line for block in shells for line in block.splitlines() if line.startswith("#") or " # " in line]


@dataclass(frozen=True)
class Step:
    """Commands, and what the page says that they answer."""

    commands: str
    answers: list[str] = field(default_factory=list)


def steps(text: str) -> list[Step]:
    """The `sh` blocks in order, each with the `text` and `json` blocks that stand before the next one."""
    found: list[Step] = []
    for language, block in fences(text):
        if language == "sh":
            found.append(Step(block))
        elif language in ("text", "json") and found:
            found[-1].answers.append(block)
    return found
