"""What an object looks like from outside: its JSON text, its entity tag, and what a merge patch makes of it."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

Shown = dict[str, Any]
"""An object of the catalog in the shape of the HTTP contract, with its key."""

# Numbers (they occur in the filters of meters) keep every digit.
_plain = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")

_FACTS = ("version", "versions", "draft", "revision", "state", "missing", "invalid")
"""Facts of plans, meters and tenants that nobody can set. A subscription's `version` can be: it is the pinned one."""


def shown_json(value: Any) -> bytes:
    return _plain.encode(value)


def etag_of(shown: Shown) -> str:
    """A strong entity tag (RFC 9110, 8.8.3): equal exactly where every field is."""
    return f'"{sha256(_sorted.encode(shown)).hexdigest()[:32]}"'


def merge_patch(target: Any, patch: Any) -> Any:
    """The target with the patch applied (RFC 7396): null takes a field away, an object is merged, all else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


def patched(shown: Shown, patch: Any) -> Any:
    """The object with the patch applied. A field that is taken away and is not there stays as null, which is the same
    as absent: so a misspelt one is refused, as it is anywhere else."""
    merged = merge_patch(shown, patch)
    if not isinstance(patch, dict):
        return merged
    return merged | {name: None for name, value in patch.items() if value is None and name not in shown}


def differences(before: Shown | None, after: Shown) -> tuple[tuple[str, Any, Any], ...]:
    """(path, old, new) of each field that differs, as "legal.address.city"; facts that nobody sets are left out.

    A field that is absent or null, false, or an empty list or object is None here: it says nothing.
    """
    return tuple(_differences("", before or {}, after, is_subscription="tenant" in after))


def _differences(path: str, before: Shown, after: Shown, *, is_subscription: bool) -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name in dict.fromkeys([*after, *before]):
        if not path and (name == "key" or (name in _FACTS and not is_subscription)):
            continue
        old, new = before.get(name) or None, after.get(name) or None
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(f"{path}{name}.", old, new, is_subscription=is_subscription)
        elif old != new:
            found.append((f"{path}{name}", _told(old), _told(new)))
    return found


def _told(value: Any) -> Any:
    """The value with numbers (of filters) as text."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [_told(item) for item in value]
    return {name: _told(item) for name, item in value.items()} if isinstance(value, dict) else value
