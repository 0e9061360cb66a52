"""Resources: {"name": "Charger 12", "kind": "equipment", "owner": "<tenant key>", "place": "FR"} <-> domain values.

`place` is the country where it stands.
"""

from __future__ import annotations

from typing import Any

from app.domain.tenants import RESOURCE_KINDS, Resource
from app.wire.parsing import Fields


def resource_from_wire(key: str, body: Any, path: str = "#") -> Resource:
    """Raises InvalidInput with every fault."""
    fields = Fields(body, path)
    resource = Resource(
        fields.own_key(key), fields.text("name"), fields.choice("kind", RESOURCE_KINDS), fields.key("owner"),
        fields.country("place") if fields.raw("place") is not None else "",
    )  # fmt: skip
    fields.finish()
    return resource


def resource_to_wire(resource: Resource) -> dict[str, Any]:
    shown = {"key": resource.key, "name": resource.name, "kind": resource.kind, "owner": resource.owner}
    return shown | ({"place": resource.place} if resource.place else {})
