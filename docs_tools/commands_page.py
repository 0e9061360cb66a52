"""The command line, as `quotepart --help` has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from app.cli import commands
from docs_tools.markdown import anchor, code, table

_HEAD = """# Commands

Results go to standard output, progress and errors to standard error. Exit codes: 0 done, 1 failed or something differs,
2 wrong use. Every command has `--help`.

"""


def page() -> str:
    found = list(all_commands())
    listed = table(
        ("command", "what it does"),
        ((f"[`{name}`](#{anchor(name)})", _first_sentence(command.help or "")) for name, command in found),
    )
    return _HEAD + listed + "".join(_section(name, command) for name, command in found)


def all_commands() -> Iterator[tuple[str, Any]]:
    """("quotepart keys create", the command) of each command that does something."""
    yield from _below("quotepart", typer.main.get_command(commands))


def options_of(command: Any) -> list[Any]:
    return [item for item in command.params if item.param_type_name == "option" and not item.hidden]


def _below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "list_commands"):
        yield name, command
        return
    context = command.context_class(command, info_name=name)
    for part in command.list_commands(context):
        yield from _below(f"{name} {part}", command.get_command(context, part))


def _section(name: str, command: Any) -> str:
    arguments = [item for item in command.params if item.param_type_name == "argument"]
    options = options_of(command)
    needed = [_spelled(item) for item in options if item.required]
    usage = " ".join([name, *map(_spelled, arguments), *needed, *(["[options]"] if len(needed) < len(options) else [])])
    rows = ((code(_spelled(item)), _sentence(item.help or ""), _default(item)) for item in [*arguments, *options])
    text = f"## {name}\n\n{command.help or ''}\n\n```text\n{usage}\n```\n\n"
    return text + table(("argument or option", "", "default"), rows)


def _spelled(item: Any) -> str:
    """ "FILE", "--port PORT", "--issue / --no-issue" """
    word = (item.metavar or item.name).upper().replace("_", "-")
    if item.param_type_name == "argument":
        return str(word)
    if item.is_flag:
        return " / ".join([*item.opts, *item.secondary_opts])
    return f"{', '.join(item.opts)} {word}"


def _default(item: Any) -> str:
    if item.required:
        return "needed"
    if getattr(item, "is_flag", False):
        return code(item.opts[0] if item.default else "")
    return "" if item.default is None else code(str(item.default))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _first_sentence(text: str) -> str:
    return text.split("\n\n")[0].split(". ")[0].rstrip(".") + "."
