"""Ids made by the application: time-ordered, unique without asking a database (UUIDv7, RFC 9562)."""

from __future__ import annotations

import base64
import binascii
import os
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

NOBODY = UUID(int=0)
"""Stands where a tenant is not known: quarantined events whose subject no tenant claims."""

SEVERAL = UUID(int=2**128 - 1)
"""Stands where a document is not of one subscription: its lines say of which each of them is."""


def new_id() -> UUID:
    """A UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | tail
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return UUID(int=value)


def name_of(id: UUID) -> bytes:
    """The 16 bytes of the id."""
    return _name(id.int)


@lru_cache(maxsize=16_384)
def _name(number: int) -> bytes:
    # UUID works its bytes out each time, and is slow to hash itself.
    return number.to_bytes(16, "big")


def made_at(id: UUID) -> datetime:
    """When the id was made, to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=id.int >> 80)


def public_id(prefix: str, tenant_id: UUID, own_id: UUID) -> str:
    """An id that carries its tenant, as `inv_..`: it finds the row without a table of all ids."""
    return f"{prefix}_{base64.b32hexencode(tenant_id.bytes + own_id.bytes).decode().rstrip('=').lower()}"


def parse_public_id(prefix: str, text: str) -> tuple[UUID, UUID] | None:
    """The tenant and own id inside a public id; None where the text is not one."""
    body = text.removeprefix(f"{prefix}_")
    if body == text or len(body) != 52:
        return None
    try:
        raw = base64.b32hexdecode(body.upper() + "====")
    except (binascii.Error, ValueError):
        return None
    if public_id(prefix, UUID(bytes=raw[:16]), UUID(bytes=raw[16:])) != text:
        return None
    return UUID(bytes=raw[:16]), UUID(bytes=raw[16:])


def tenant_of(public: str) -> UUID:
    """The tenant inside a public id that this service made."""
    key = parse_public_id(public.partition("_")[0], public)
    assert key is not None, "a public id carries its tenant"
    return key[0]
