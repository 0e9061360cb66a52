"""Who is calling, and what may it do?

A key reads `qp_<id>_<secret>`: the id finds the row, the secret (256 random bits) is compared by its SHA-256. A slow
password hash would add nothing to a random secret and 143 ms to every request.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from datetime import datetime

from sqlalchemy.engine import Connection

from app.domain.callers import SCOPES, Caller
from app.domain.errors import NotAuthenticated, NotFound
from app.storage import catalog_snapshot, key_store
from app.storage.database import Database
from app.storage.key_store import StoredKey

_KEY_ID = re.compile("[0-9a-f]{16}")


def authenticate(database: Database, token: str) -> Caller:
    """The caller behind an API key. Raises NotAuthenticated for any other text, saying nothing of why."""
    return database.read(lambda connection: _caller(connection, token))


def check_still_allowed(connection: Connection, token: str, caller: Caller) -> None:
    """Raises NotAuthenticated where the key no longer opens what it opened for the caller."""
    found = _caller(connection, token)
    if (found.scopes, found.tenant_id) != (caller.scopes, caller.tenant_id):
        raise NotAuthenticated("This API key is not known.")


class KnownCallers:
    """Callers that were asked for before, so that a request need not ask the database for them.

    What is remembered holds for one version of the catalog; whoever relies on it compares that in his transaction.
    """

    _MOST = 10_000

    def __init__(self) -> None:
        self._found: dict[bytes, Caller] = {}

    def find(self, token: str, version: int) -> Caller | None:
        """The caller behind the key, if it was known at that version."""
        found = self._found.get(_digest(token))
        return found if found is not None and found.known_at == version else None

    def remember(self, token: str, caller: Caller) -> None:
        if len(self._found) >= self._MOST:
            self._found = {}
        self._found[_digest(token)] = caller


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _caller(connection: Connection, token: str) -> Caller:
    key_id, secret = _split(token)
    stored = key_store.find_key(connection, key_id)
    given = _digest(secret)
    if stored is None or not hmac.compare_digest(given, stored.secret_hash):
        raise NotAuthenticated("This API key is not known.")
    given_scopes = stored.scopes.split(",")
    scopes = frozenset(SCOPES if "admin" in given_scopes else given_scopes)
    version = catalog_snapshot.version_now(connection)
    if not stored.tenant_key:
        return Caller(scopes, key_id=stored.key_id, known_at=version)
    tenant_id = key_store.tenant_of_key(connection, stored.tenant_key)
    if tenant_id is None:
        # Without an id nothing would narrow what is read to the tenant: such a key opens nothing rather than all.
        raise NotAuthenticated("This API key is not known.")
    return Caller(scopes, stored.tenant_key, tenant_id, stored.key_id, version)


def _split(token: str) -> tuple[str, str]:
    parts = token.split("_", 2)
    if len(parts) == 3 and parts[0] == "qp" and _KEY_ID.fullmatch(parts[1]):
        return parts[1], parts[2]
    # A bootstrap key is any text its operator chose; its id is made of it.
    return bootstrap_id(token), token


def bootstrap_id(token: str) -> str:
    return "b" + hashlib.sha256(b"quotepart-bootstrap:" + token.encode()).hexdigest()[:20]


def create_key(database: Database, *, scopes: Collection[str], tenant: str = "", name: str = "", now: datetime) -> str:
    """A new key with these scopes, shown this once. Raises NotFound for an unknown tenant."""
    assert scopes and set(scopes) <= set(SCOPES)
    key_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    stored = StoredKey(key_id, _digest(secret), ",".join(sorted(scopes)), tenant, name)

    def work(connection: Connection) -> None:
        if tenant and key_store.tenant_of_key(connection, tenant) is None:
            raise NotFound(f"There is no tenant {tenant!r}.", tenant=tenant)
        key_store.add_key(connection, stored, now)

    database.write(work)
    return f"qp_{key_id}_{secret}"


def revoke_key(database: Database, key: str, *, now: datetime) -> bool:
    """True when the key, named whole or by its id, was in force and is no more."""
    key_id = key if _KEY_ID.fullmatch(key) else _split(key)[0]

    def work(connection: Connection) -> bool:
        catalog_snapshot.lock_for_change(connection)
        revoked = key_store.revoke_key(connection, key_id, now)
        if revoked:
            catalog_snapshot.raise_version(connection)  # what was remembered of the key holds no more
        return revoked

    return database.write(work)


def register_bootstrap_key(database: Database, token: str, now: datetime) -> None:
    """The operator's own key as an admin key, once, however many processes start."""
    # Taken apart as it will be when it is sent: the operator may have chosen a key that another database made.
    key_id, secret = _split(token)
    stored = StoredKey(key_id, _digest(secret), "admin", "", "bootstrap")
    database.write(lambda connection: key_store.add_key(connection, stored, now))
