"""Where commands write: results to stdout, everything else to stderr."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

# What is printed holds ids that producers chose: `[/x]` in one is text, not markup.
out = Console(highlight=False, markup=False)
err = Console(stderr=True, highlight=False)


def show_error(message: str) -> None:
    err.print(f"[red]error[/]: {escape(message)}", soft_wrap=True)
