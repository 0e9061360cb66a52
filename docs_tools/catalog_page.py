"""The catalog's file, as app/wire/catalog_schema.py has its schema."""

from __future__ import annotations

from app.wire.catalog_schema import Schema, catalog_schema
from docs_tools.markdown import anchor, code, table
from docs_tools.shapes import fields

_HEAD = """# Catalog file

The catalog says who there is, what is measured, and what it costs. `quotepart apply catalog.yaml` reads it from one
YAML file: it shows the difference to what is there, then makes it so, all of it or nothing. What the file does not name
stays as it is. Each entry is, under its key, the body of the `PUT` request of [the HTTP interface](http/catalog.md).

Write amounts, prices and quantities in quotes: `"12.50"`. They are decimal numbers, and nothing rounds them on the way.
An optional field may be left out or be `null`. A field that is not listed here is a fault.

## Let your editor help

The same rules are a JSON Schema, which many editors use to complete and to check while you type:

```sh
quotepart catalog-schema --output catalog.schema.json
```

Editors with the YAML language server take it from the first line of the catalog:

```yaml
# yaml-language-server: $schema=catalog.schema.json
```

The schema knows the form of each entry. Whether the entries fit together, `quotepart apply --dry-run catalog.yaml`
says.

## Sections

"""


def page() -> str:
    schema = catalog_schema()
    sections = (
        (code(name), item["description"], f"[{_title(of)}](#{anchor(of)})")
        for name, item in schema["properties"].items()
        for of in [item["additionalProperties"]["$ref"].rpartition("/")[2]]
    )
    parts = (_part(name, item) for name, item in schema["$defs"].items() if name != "currency")
    return _HEAD + table(("section", "what it holds", "under each key"), sections) + _CURRENCY + "".join(parts)


_CURRENCY = """## currency

A three-letter code of ISO 4217, such as `EUR`. Amounts have as many decimals as the currency.

"""


def _title(name: str) -> str:
    return name.replace("_", " ")


def _part(name: str, schema: Schema) -> str:
    text = f"## {name}\n\n{schema['description']}\n\n"
    if "oneOf" not in schema:
        return text + fields(_settable(schema))
    return text + "".join(_option(option) for option in schema["oneOf"])


def _option(schema: Schema) -> str:
    """One of several forms that an object may have."""
    name = f"**`{schema['title']}`.** " if "title" in schema else ""
    return f"{name}{schema['description']}\n\n{fields(_settable(schema))}"


def _settable(schema: Schema) -> Schema:
    """The object without the fields that say nothing, or may only be null."""
    kept = {
        name: item
        for name, item in schema["properties"].items()
        if not item.get("readOnly") and item.get("type") != "null"
    }
    return schema | {"properties": kept}
