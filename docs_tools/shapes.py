"""JSON Schemas in words: the fields of an object as a table, and what a value may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docs_tools.markdown import anchor, code, table

Schema = dict[str, Any]

_LONGEST_CHOICE = 12  # of more values nobody reads a list: the first few stand for them
_FIRST_FEW = 3
_NULL = "`null`"


def fields(schema: Schema) -> str:
    """The fields of an object, and below each those of an object in it: `legal`, `legal.name`, `lines[].id`."""
    return table(("field", "", "value", ""), _rows(schema, ""))


def _rows(schema: Schema, above: str) -> Iterator[tuple[str, str, str, str]]:
    needed = set(schema.get("required", ()))
    # What is sent may hold no other fields; what is answered may come to have more.
    word = "needed" if schema.get("additionalProperties") is False else "always"
    for name, item in schema.get("properties", {}).items():
        yield code(above + name), word if name in needed else "", value(item), _meaning(item)
        inner = item.get("items", {})
        yield from _rows(item, f"{above}{name}.")
        yield from _rows(inner if isinstance(inner, dict) else {}, f"{above}{name}[].")


def _meaning(schema: Schema) -> str:
    said: str = schema.get("description", "")
    if "default" in schema and schema["default"] is not None:
        return f"{said} Default: {code(_literal(schema['default']))}."
    return said


def value(schema: Schema) -> str:
    """What a value may be: "text", "`a`, `b`", "list of [charge](#charge)"."""
    found = list(dict.fromkeys(_alternatives(schema)))
    if len(found) > 1 and _NULL in found:
        found.remove(_NULL)
    return (", " if "enum" in schema else " or ").join(found) or "anything"


def _alternatives(schema: Schema) -> Iterator[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield f"[{name}](#{anchor(name)})"
    elif "const" in schema:
        yield code(_literal(schema["const"]))
    elif "enum" in schema:
        shown = [item for item in schema["enum"] if item is not None]
        is_long = len(shown) > _LONGEST_CHOICE
        yield from (code(_literal(item)) for item in shown[: _FIRST_FEW if is_long else None])
        if is_long:
            yield "…"
    elif "anyOf" in schema or "oneOf" in schema:
        for item in schema.get("anyOf") or schema["oneOf"]:
            names = item.get("properties", {})
            yield from [code(f"{{{', '.join(names)}}}")] if names else _alternatives(item)
    else:
        yield from _of_type(schema)


def _of_type(schema: Schema) -> Iterator[str]:
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if {"string", "number"} <= set(kinds):
        kinds = [kind for kind in kinds if kind != "number"]
    if kinds == ["null"]:
        yield _NULL
    for kind in kinds:
        if kind == "array":
            yield f"list of {value(schema['items'])}" if schema.get("items") else "list"
        elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            yield f"map to {value(schema['additionalProperties'])}"
        elif kind == "string":
            yield _text(schema)
        elif kind != "null":
            yield {"boolean": "`true` or `false`", "integer": _whole(schema)}.get(kind, kind)


def _is_number(pattern: str) -> bool:
    """True of a pattern that lets nothing through but digits, a sign and a point."""
    return r"\." in pattern and not re.search(r"[^\^$()?:|\[\]{},0-9\\.*+-]", pattern)


def _text(schema: Schema) -> str:
    kind = "decimal" if _is_number(schema.get("pattern", "")) else schema.get("format", "text")
    kind = kind.replace("date-time", "instant")
    examples = schema.get("examples", [])
    return f"{kind}, such as {code(_literal(examples[0]))}" if examples else kind


def _whole(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f"{least} to {most}"
    return "whole number"


def _literal(item: Any) -> str:
    return {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)
