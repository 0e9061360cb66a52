"""The `quotepart` command. Progress goes to stderr, results to stdout; exit codes: 0 done, 1 failed, 2 wrong use.

A command's module is loaded when the command is asked for: the shell's completion, and `import` on a machine that only
sends, need not wait for the web framework and the database.
"""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app import VERSION
from app.commands.streams import err, show_error
from app.domain.errors import BillingError, InvalidInput
from app.settings import InvalidSetting, described, unknown_variables

MODULES = {
    "serve": "serve", "work": "serve", "migrate": "migrate", "apply": "apply", "import": "import_", "close": "close",
    "bank": "bank", "simulate": "simulate", "explain": "explain", "audit": "audit", "keys": "keys", "doctor": "doctor",
    "backup": "backup", "export": "export", "export-series": "export_series",
    "verify": "verify", "hand-over": "hand_over", "openapi": "documents",
    "catalog-schema": "documents", "demo": "demo",
}  # fmt: skip
"""The module of app.commands that each command lives in, in the order in which the help lists them."""


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in MODULES:
            return None
        module = import_module(f"app.commands.{MODULES[cmd_name]}")
        return typer.main.get_group(module.commands).commands[cmd_name]


commands = typer.Typer(
    cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, help="Metered pay-per-use billing."
)


def _show_version(asked: bool) -> None:
    if asked:
        print(VERSION)
        raise typer.Exit


@commands.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="say which version this is", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    pass


def _warn_of_unknown_settings() -> None:
    """A misspelt setting would otherwise be a default that nobody chose."""
    known = [item.variable for item in described()]
    for name in unknown_variables(os.environ):
        meant = get_close_matches(name, known, n=1)
        err.print(f"There is no setting {name}{f': did you mean {meant[0]}?' if meant else '.'}", markup=False)


def main() -> None:
    """The command, with errors as lines for a person and not as a traceback."""
    # Set by somebody for another program, it would mix that one's counts, or an earlier run's, with ours.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    _warn_of_unknown_settings()
    try:
        commands(prog_name="quotepart")
    except InvalidSetting as error:
        show_error(str(error))
        sys.exit(2)
    except BillingError as error:
        show_error(error.detail)
        for problem in error.problems if isinstance(error, InvalidInput) else ():
            if problem.detail in error.detail:
                continue
            err.print(f"  {problem.pointer}: {problem.detail}", markup=False, soft_wrap=True)
        sys.exit(1)
