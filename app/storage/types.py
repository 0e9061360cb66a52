"""Column types that are exact on both databases: decimals, instants, JSON as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from app.domain.events import EARLIEST, microseconds


class ExactDecimal(TypeDecorator[Decimal]):
    """Unbounded NUMERIC in PostgreSQL, plain decimal text in SQLite; never floating point."""

    impl = sa.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.Numeric(asdecimal=True))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return decimal_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return value if value is None or isinstance(value, Decimal) else Decimal(str(value))


def decimal_text(value: Decimal | int) -> str:
    """The text in which SQLite keeps a decimal: plain, every digit kept."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


class Instant(TypeDecorator[datetime]):
    """TIMESTAMP WITH TIME ZONE in PostgreSQL, whole microseconds since 1970 in SQLite; aware UTC in Python."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.BigInteger())
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return instant_from_microseconds(value) if isinstance(value, int) else value.astimezone(UTC)


def instant_from_microseconds(value: int) -> datetime:
    return EARLIEST + timedelta(microseconds=value)


class Id(TypeDecorator[UUID]):
    """UUID in PostgreSQL, its 16 bytes in SQLite."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.LargeBinary(16) if dialect.name == "sqlite" else sa.Uuid())

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value.bytes if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or isinstance(value, UUID) else UUID(bytes=bytes(value))


class Name16(TypeDecorator[bytes]):
    """A name made by hashing: 16 bytes in Python, which are quick to make and to compare; UUID in PostgreSQL."""

    impl = sa.Uuid
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.LargeBinary(16) if dialect.name == "sqlite" else sa.Uuid())

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "sqlite" else UUID(bytes=value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return value.bytes if isinstance(value, UUID) else value


class Digest(TypeDecorator[bytes]):
    """A short run of bytes; `bytes` in Python on both databases."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else bytes(value)


class ByteText(TypeDecorator[str]):
    """Text that is compared by code point on both databases, whatever the server's locale."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Text() if dialect.name == "sqlite" else sa.Text(collation="C"))
