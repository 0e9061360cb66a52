"""The settings, as app/settings.py describes them."""

from __future__ import annotations

from app.settings import described
from docs_tools.markdown import code, table

_HEAD = """# Settings

All settings come from the environment and are read once, at start. An empty variable is as good as none. A value that
cannot be read stops the command with exit code 2, and a sentence says what would be accepted.

"""


def page() -> str:
    rows = [
        (code(item.variable), code(item.default) or "none", " ".join(map(code, item.choices)), _sentence(item.says))
        for item in described()
    ]
    return _HEAD + table(("variable", "default", "values", "what it is for"), rows)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
