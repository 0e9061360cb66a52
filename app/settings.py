"""The environment, read once into one frozen object. Every setting's name starts with QUOTEPART_."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

PREFIX = "QUOTEPART_"

SMTP_TLS = ("starttls", "tls", "none")
LOG_FORMATS = ("auto", "json", "text")
LOG_LEVELS = ("debug", "info", "warning", "error")


class InvalidSetting(ValueError):
    """A setting that cannot be read, with what would be accepted."""


def _setting(default: Any, says: str, *, choices: tuple[str, ...] = (), secret: bool = False) -> Any:
    return field(default=default, metadata={"says": says, "choices": choices, "secret": secret})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says, or the defaults. `described()` gives the same as a table."""

    database_url: str = _setting(
        "sqlite:///quotepart.db", "where everything is kept: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`",
        secret=True,
    )  # fmt: skip
    bootstrap_key: str = _setting(
        "", "an admin key of your own choice, 20 or more printable characters; registered at each start", secret=True
    )
    api_key: str = _setting("", "the key that `quotepart import` sends", secret=True)
    max_body_bytes: int = _setting(16 * 1024 * 1024, "the largest body of `POST /v1/events`, in bytes")
    max_events: int = _setting(10_000, "the most events in one request")
    max_waiting_bytes: int = _setting(
        128 * 1024 * 1024, "the bodies that are read or wait to be written, together; beyond it requests answer 429"
    )
    body_seconds: int = _setting(60, "how long a body may take to come")
    future_seconds: int = _setting(86_400, "how far ahead of its receipt the time of an event may lie")
    payment_terms_days: int = _setting(30, "from issue to the due date")
    lease_seconds: int = _setting(20, "after how long without a sign of life another process takes over a job")
    run_jobs: bool = _setting(True, "`yes`: `quotepart serve` runs the jobs too; `no`: `quotepart work` does, apart")
    webhook_http: bool = _setting(False, "`yes`: webhooks may be posted to `http://` too, for development")
    webhook_networks: str = _setting(
        "", "private networks that webhooks may be posted to all the same, such as `10.1.0.0/16, fd12::/32`"
    )
    webhook_seconds: int = _setting(15, "how long a receiver of a webhook may take to answer")
    webhook_threads: int = _setting(16, "how many messages are delivered at the same time, at most")
    smtp_host: str = _setting("", "the mail server that issued documents are sent by; without it no mail is sent")
    smtp_port: int = _setting(587, "its port")
    smtp_tls: str = _setting(
        "starttls", "`starttls`: encrypted after a greeting; `tls`: from the start (port 465); `none`: not at all",
        choices=SMTP_TLS,
    )  # fmt: skip
    smtp_user: str = _setting("", "the name to log in with, where the server wants that")
    smtp_password: str = _setting("", "the password to log in with", secret=True)
    smtp_from: str = _setting("", "the address that mail comes from; needed with a mail server")
    outbox_days: int = _setting(30, "how long messages and what became of them are kept")
    log_format: str = _setting(
        "auto",
        "`json`: one object a line; `text`: for people; `auto`: text on a terminal, else JSON",
        choices=LOG_FORMATS,
    )
    log_level: str = _setting("info", "the least serious messages that are logged", choices=LOG_LEVELS)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Settings from QUOTEPART_DATABASE_URL and so on. Raises InvalidSetting."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {
            item.name: _read(item, text) for item in fields(cls) if (text := source.get(_variable(item), ""))
        }
        settings = cls(**values)
        key = settings.bootstrap_key
        if key and (len(key) < 20 or not key.isprintable() or key != key.strip()):
            raise InvalidSetting(
                f"{PREFIX}BOOTSTRAP_KEY must have 20 or more printable characters, and no space at either end"
            )
        if settings.smtp_host and "@" not in settings.smtp_from:
            raise InvalidSetting(f"{PREFIX}SMTP_FROM must be the e-mail address that mail comes from")
        try:
            settings.networks()
        except ValueError as error:
            raise InvalidSetting(f"{PREFIX}WEBHOOK_NETWORKS must be a list of networks: {error}") from error
        return settings

    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The private networks that webhooks may be posted to. Raises ValueError."""
        return tuple(ip_network(item.strip()) for item in self.webhook_networks.split(",") if item.strip())


@dataclass(frozen=True, slots=True)
class Described:
    """One setting: its variable, its default, the values it takes where they are few, what it is for."""

    variable: str
    default: str
    choices: tuple[str, ...]
    says: str


def described() -> tuple[Described, ...]:
    """Every setting there is, in the order in which somebody would ask."""
    return tuple(
        Described(_variable(item), _text(item.default), _choices(item), item.metadata["says"])
        for item in fields(Settings)
    )


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """The variables that look like settings and are none: misspelt, most often."""
    known = {item.variable for item in described()}
    return sorted(name for name in environment if name.startswith(PREFIX) and name not in known)


def _variable(item: Field[Any]) -> str:
    return PREFIX + item.name.upper()


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def _choices(item: Field[Any]) -> tuple[str, ...]:
    chosen: tuple[str, ...] = item.metadata["choices"]
    return ("yes", "no") if item.type == "bool" else chosen


def _read(item: Field[Any], text: str) -> str | int | bool:
    name, choices = _variable(item), _choices(item)
    if choices and text not in choices:
        raise InvalidSetting(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    if item.type == "bool":
        return text == "yes"
    if item.type != "int":
        return text
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise InvalidSetting(f"{name} must be a whole number above 0, not {text!r}")
    return int(text)
