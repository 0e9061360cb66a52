"""What the tests of the dialects know of the service that they speak to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.callers import Scope
from app.operations.authenticate import create_key
from app.storage.database import Database
from tests.service import Api


@dataclass(frozen=True)
class Served:
    url: str
    api: Api
    database: Database

    def key(self, *scopes: Scope, tenant: str = "") -> str:
        return create_key(self.database, scopes=scopes, tenant=tenant, now=self.api.clock())

    def quarantine(self) -> list[Any]:
        found: list[Any] = self.api.get("/v1/quarantine")["data"]
        return found
