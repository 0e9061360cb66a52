"""The environment, read once into one frozen object. Every setting's name starts with QUOTEPART_."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields


class InvalidSetting(ValueError):
    """A setting that cannot be read, with what would be accepted."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`database_url`: sqlite:///FILE or postgresql://.. · `bootstrap_key`: an admin key registered at each start ·
    `max_body_bytes`, `max_events`: limits of one ingest request · `future_seconds`: how far ahead of its receipt an
    event's time may lie · `payment_terms_days`: from issue to the due date · `lease_seconds`: after how long without a
    sign of life another process takes over a job · `api_key`: what the command line sends to a running service.
    """

    database_url: str = "sqlite:///quotepart.db"
    bootstrap_key: str = ""
    max_body_bytes: int = 16 * 1024 * 1024
    max_events: int = 10_000
    future_seconds: int = 86_400
    payment_terms_days: int = 30
    lease_seconds: int = 20
    api_key: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Settings from QUOTEPART_DATABASE_URL and so on. Raises InvalidSetting."""
        source = os.environ if environment is None else environment
        values: dict[str, str | int] = {}
        for item in fields(cls):
            name = f"QUOTEPART_{item.name.upper()}"
            text = source.get(name, "")
            if text:
                values[item.name] = _whole_number(name, text) if item.type == "int" else text
        settings = cls(**values)  # type: ignore[arg-type]
        key = settings.bootstrap_key
        if key and (len(key) < 20 or not key.isprintable()):
            raise InvalidSetting("QUOTEPART_BOOTSTRAP_KEY must have 20 or more printable characters")
        return settings


def _whole_number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InvalidSetting(f"{name} must be a whole number above 0, not {text!r}")
    return int(text)
