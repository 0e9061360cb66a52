"""Who is calling, and what may they do?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Scope = Literal["ingest", "read", "finance", "admin"]
SCOPES: tuple[Scope, ...] = ("ingest", "read", "finance", "admin")


@dataclass(frozen=True, slots=True)
class Caller:
    """What an API key allows. `tenant_key` is None for a key that sees every tenant. `known_at` is the version of the
    catalog at which it was so: a key that is revoked raises it."""

    scopes: frozenset[str]
    tenant_key: str | None = None
    tenant_id: UUID | None = None
    key_id: str = ""
    known_at: int = 0
