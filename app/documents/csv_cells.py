"""Which texts may stand in a cell of a table that somebody opens with a spreadsheet?"""

from __future__ import annotations

import re

# What a spreadsheet may take for a formula, also behind what it strips or shows nothing of.
_FORMULA = re.compile(r"[\s\x00-\x1f\u200b-\u200f\u202a-\u202e\u2060\ufeff]*[=+\-@＝＋－＠]|[\t\r\n]")


def safe_text(text: str) -> str:
    """The text, never a formula: other people choose names and descriptions, and finance opens the file."""
    return f"'{text}" if _FORMULA.match(text) else text
