"""Columns of values as PostgreSQL's own binary arrays, for statements that take a thousand rows at once.

psycopg can pass a list as an array, and looks at every element to do it; a column whose type is known needs no looking.
The form is that of PostgreSQL's array_recv: dimensions, whether there are nulls, the element's type, size and lower
bound, then each element after its length. The statement casts each parameter, so the server knows what it gets.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from struct import Struct, pack
from typing import Any

from psycopg import pq
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper

from app.domain.events import microseconds

_BOOL, _BYTEA, _INT8, _INT4, _TEXT, _TIMESTAMPTZ, _UUID = 16, 17, 20, 23, 25, 1184, 2950
_HEADER = Struct(">iiIii")
_LENGTH = Struct(">i")
_LONG = Struct(">q")
_NULL = _LENGTH.pack(-1)
_1, _8, _16 = _LENGTH.pack(1), _LENGTH.pack(8), _LENGTH.pack(16)
_MICROSECONDS_TO_2000 = 946_684_800_000_000
"""PostgreSQL counts from 2000-01-01."""


class Packed:
    """A parameter that is in binary form already."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content


class _PackedDumper(Dumper):
    format = pq.Format.BINARY
    oid = 0

    def dump(self, obj: Packed) -> bytes:
        return obj.content


def register(connection: AdaptContext) -> None:
    """Lets statements of this connection take Packed parameters."""
    connection.adapters.register_dumper(Packed, _PackedDumper)


def _array(element: int, size: int, body: bytes, *, nulls: bool = False) -> Packed:
    return Packed(_HEADER.pack(1 if size else 0, nulls, element, size, 1)[: None if size else 12] + body)


def ids(values: Sequence[bytes]) -> Packed:
    """uuid[] of 16 bytes each."""
    return _array(_UUID, len(values), _16 + _16.join(values) if values else b"")


def flags(values: Sequence[bool]) -> Packed:
    """bool[]"""
    return _array(_BOOL, len(values), b"".join([_1 + (b"\x01" if value else b"\x00") for value in values]))


def whole_numbers(values: Sequence[int]) -> Packed:
    """bigint[]"""
    return _array(_INT8, len(values), _longs(values))


def small_numbers(values: Sequence[int]) -> Packed:
    """integer[]"""
    parts = [4] * (2 * len(values))
    parts[1::2] = values
    return _array(_INT4, len(values), pack(">" + "ii" * len(values), *parts))


def moments(values: Sequence[int]) -> Packed:
    """timestamptz[] of microseconds since 1970."""
    return _array(_TIMESTAMPTZ, len(values), _longs([value - _MICROSECONDS_TO_2000 for value in values]))


def _longs(values: Sequence[int]) -> bytes:
    """Each after its length, all in one call."""
    parts = [8] * (2 * len(values))
    parts[1::2] = values
    return pack(">" + "iq" * len(values), *parts)


def instants(values: Sequence[datetime | None]) -> Packed:
    """timestamptz[] of few different instants."""
    return _array(_TIMESTAMPTZ, len(values), b"".join(map(_instant, values)), nulls=None in values)


@lru_cache(maxsize=4096)
def _instant(value: datetime | None) -> bytes:
    return _NULL if value is None else _8 + _LONG.pack(microseconds(value) - _MICROSECONDS_TO_2000)


def texts(values: Sequence[str | None]) -> Packed:
    """text[]; also for decimals, which the statement casts."""
    return _array(_TEXT, len(values), b"".join(map(_text, values)), nulls=None in values)


def _text(value: str | None) -> bytes:
    if value is None:
        return _NULL
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def names(values: Sequence[str]) -> Packed:
    """text[] of texts that come again and again."""
    return _array(_TEXT, len(values), b"".join(map(_name, values)))


@lru_cache(maxsize=16_384)
def _name(value: str) -> bytes:
    return _text(value)


def digests(values: Sequence[bytes]) -> Packed:
    """bytea[] of 16 bytes each."""
    return _array(_BYTEA, len(values), _16 + _16.join(values) if values else b"")


def decimals(values: Sequence[Any]) -> Packed:
    """text[] of decimals, every digit kept; cast it to numeric[]."""
    return texts([None if value is None else format(value, "f") for value in values])
