"""The HTTP interface, as openapi/openapi.json has it: a page for each tag."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docs_tools.markdown import code, table
from docs_tools.shapes import fields, value

_CONTRACT = Path(__file__).resolve().parents[1] / "openapi" / "openapi.json"
_SAYS_NOTHING = "Successful Response"
"""What the framework writes where nobody wrote anything."""
_METHODS = ("get", "post", "put", "patch", "delete")
_FIRST = (
    "events", "usage", "catalog", "alerts", "billing", "credit", "payments", "webhooks", "exports", "openmeter", "lago",
)  # fmt: skip
"""The tags that a reader comes for; what the service says of itself follows them."""

_HEAD = """# HTTP interface

The service speaks JSON over HTTP, below `/v1`. The same as a document for programs: `openapi/openapi.json` in the
project, or from a running service at `/openapi.json`.

- **Who is calling**: `Authorization: Bearer <api key>`, but for `/healthz`, `/readyz`, `/metrics` and
  `/openapi.json`.
  [Keys](../../how-to/keys.md) says how to make one.
- **Numbers**: amounts, prices and quantities are decimal numbers in texts: `"12.50"`. Nothing is rounded by reading it.
- **Times**: instants are RFC 3339 and come back in UTC. A period begins with its start and ends just before its end.
- **Lists** answer `{"data": [..], "next_cursor": ".."}` and take `limit` (1 to 1000, 100 if absent) and `cursor`. The
  last page has the cursor `null`.
- **Keys** in paths are chosen by you: 1 to 255 printable characters, no slash. `PUT` makes or replaces; repeated it
  changes nothing. `PATCH` changes single fields. `If-Match` with the `ETag` of an answer refuses a change that would
  overwrite another's.
- **Errors** are [problems](../../problems.md).

"""


def pages() -> dict[str, str]:
    """The Markdown of each page by its file name; `index.md` lists them all."""
    contract = json.loads(_CONTRACT.read_text())
    by_tag: dict[str, list[tuple[str, str, Any]]] = {}
    for method, path, operation in _operations(contract):
        by_tag.setdefault(operation.get("tags", ["other"])[0], []).append((method, path, operation))
    texts = {f"{tag}.md": _page(tag, operations, contract) for tag, operations in by_tag.items()}
    tags = dict.fromkeys([*_FIRST, *by_tag])
    return {"index.md": _HEAD + "".join(_listed(tag, by_tag[tag]) for tag in tags), **texts}


def _operations(contract: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in contract["paths"].items():
        for method in _METHODS:
            if method in methods:
                shared = methods.get("parameters", [])
                operation = methods[method]
                yield method.upper(), path, operation | {"parameters": [*shared, *operation.get("parameters", [])]}


def _anchor(method: str, path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"{method}{path}".lower()).strip("-")


def _title(tag: str) -> str:
    return "OpenMeter" if tag == "openmeter" else tag[:1].upper() + tag[1:]


def _listed(tag: str, operations: list[tuple[str, str, Any]]) -> str:
    rows = (
        (f"[`{method} {path}`]({tag}.md#{_anchor(method, path)})", _says(operation))
        for method, path, operation in operations
    )
    return f"## {_title(tag)}\n\n" + table(("request", "what it does"), rows)


def _says(operation: Any) -> str:
    """The sentence that describes it. The framework's own summaries repeat the function's name: they say less."""
    return str(operation.get("description") or operation.get("summary") or "").split("\n\n")[0]


def _page(tag: str, operations: list[tuple[str, str, Any]], contract: Any) -> str:
    text = f"# {_title(tag)}\n\n" + "".join(_operation(*each, contract) for each in operations)
    schemas = contract.get("components", {}).get("schemas", {})
    shapes = "".join(f"### {name}\n\n{_shape(schemas[name])}" for name in _mentioned(operations, schemas))
    return text + (f"## Shapes\n\n{shapes}" if shapes else "")


def _operation(method: str, path: str, operation: Any, contract: Any) -> str:
    text = f"## `{method} {path}` {{ #{_anchor(method, path)} }}\n\n"
    text += (operation.get("description") or operation.get("summary") or "") + "\n\n"
    parameters = [_resolved(item, contract) for item in operation["parameters"]]
    text += table(("parameter", "in", "value", ""), map(_parameter, parameters))
    body = _resolved(operation.get("requestBody", {}), contract)
    for media_type, content in body.get("content", {}).items():
        text += f"**Body** {code(media_type)}: {value(content.get('schema', {}))}\n\n"
    text += _example(body, contract)
    text += table(("answer", "", "body"), _answers(operation, contract))
    faults = ", ".join(sorted(status for status in operation.get("responses", {}) if status >= "400"))
    return text + (f"Otherwise a [problem](../../problems.md): {faults}.\n\n" if faults else "")


def _example(body: Any, contract: Any) -> str:
    """The first example that there is of a body, as JSON."""
    for content in body.get("content", {}).values():
        examples = _resolved(content.get("schema", {}), contract).get("examples", [])
        if examples:
            shown = json.dumps(examples[0], indent=2, ensure_ascii=False)
            return f"```json\n{shown}\n```\n\n"
    return ""


def _parameter(item: Any) -> tuple[str, str, str, str]:
    needed = "needed, " if item.get("required") and item["in"] != "path" else ""
    schema = item.get("schema", {})
    said = item.get("description") or schema.get("description", "")
    default = f" Default: {code(str(schema['default']))}." if schema.get("default") is not None else ""
    return code(item["name"]), f"{needed}{item['in']}", value(schema), said + default


def _answers(operation: Any, contract: Any) -> Iterator[tuple[str, str, str]]:
    """What comes where all goes well."""
    for status, answer in sorted(operation.get("responses", {}).items()):
        if status >= "400":
            continue
        found = _resolved(answer, contract)
        bodies = (
            f"{code(media_type)} {_known(content.get('schema', {}))}".strip()
            for media_type, content in found.get("content", {}).items()
        )
        said = found.get("description", "")
        yield status, "" if said == _SAYS_NOTHING else said, ", ".join(bodies)


def _known(schema: Any) -> str:
    return value(schema) if schema else ""


def _resolved(item: Any, contract: Any) -> Any:
    """The thing itself where the contract only refers to it."""
    if "$ref" not in item:
        return item
    found = contract
    for part in item["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def _mentioned(operations: list[tuple[str, str, Any]], schemas: Any) -> list[str]:
    """The named shapes that the operations need, those that these need included, by name."""
    found: set[str] = set()
    waiting = {name for _, _, operation in operations for name in _references(operation)}
    while waiting:
        name = waiting.pop()
        if name in schemas and name not in found:
            found.add(name)
            waiting |= set(_references(schemas[name]))
    return sorted(found)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if str(value.get("$ref", "")).startswith("#/components/schemas/"):
            yield value["$ref"].rpartition("/")[2]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _references(item)


def _shape(schema: Any) -> str:
    said = f"{schema['description']}\n\n" if schema.get("description") else ""
    options = schema.get("anyOf") or schema.get("oneOf") or [schema]
    if all(option.get("properties") for option in options):
        return said + "or\n\n".join(map(fields, options))
    return said + f"{value(schema)}\n\n"
