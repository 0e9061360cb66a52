"""Who is calling, and what may they do?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from app.domain.ids import NOBODY

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

    @property
    def sees_only(self) -> UUID | None:
        """The tenant whose objects alone the key shows; NOBODY where that is gone, None for a key that sees all."""
        return None if self.tenant_key is None else self.tenant_id or NOBODY
