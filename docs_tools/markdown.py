"""Small pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table without the columns that are empty, and a blank line after it; nothing where there are no rows."""
    cells = [list(map(_cell, row)) for row in rows]
    kept = [column for column in range(len(heads)) if any(row[column] for row in cells)]
    lines = [[heads[column] for column in kept], ["---"] * len(kept)]
    lines += [[row[column] for column in kept] for row in cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n" if kept else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def code(text: str) -> str:
    """The text as code; an empty one stays empty."""
    if not text:
        return ""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def anchor(heading: str) -> str:
    """What a heading of the site is called in a link to it, for headings of letters, digits, spaces and hyphens."""
    kept = "".join(sign for sign in heading.lower() if sign.isalnum() or sign in " -_")
    return "-".join(kept.split())
