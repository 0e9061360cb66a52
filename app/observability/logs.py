"""What is logged, and how: one JSON object a line for machines, or one line for people, on stderr.

Every line written while a request or a job is worked on carries that request's or job's id: `bound` says which.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_bound: ContextVar[dict[str, str]] = ContextVar("bound", default={})  # noqa: B039 - replaced, never changed
_OWN_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


@contextmanager
def bound(**ids: str) -> Iterator[None]:
    """Lines logged inside carry these ids, beside those of the block around it."""
    token = _bound.set(_bound.get() | ids)
    try:
        yield
    finally:
        _bound.reset(token)


def logging_config(*, as_json: bool, level: str, secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """For `logging.config.dictConfig`. No text of `secrets` gets out, whoever logs it."""
    lines = {
        "()": "pythonjsonlogger.json.JsonFormatter", "timestamp": "time",
        "format": "%(levelname)s %(name)s %(message)s",
        "rename_fields": {"levelname": "level", "name": "logger"}, "reserved_attrs": sorted(_OWN_ATTRIBUTES),
    }  # fmt: skip
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": lines if as_json else {"()": "app.observability.logs.TextLines"}},
        "filters": {"ids": {"()": "app.observability.logs.WithIds"}},
        "handlers": {
            "stderr": {
                "()": "app.observability.logs.Discreet", "formatter": "lines", "filters": ["ids"], "secrets": secrets,
            }
        },
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        # Libraries speak at their own levels and about their own affairs: only what is wrong with them is wanted.
        "loggers": {"quotepart": {"level": level.upper()}, "uvicorn": {"level": "INFO"}},
    }  # fmt: skip


class WithIds(logging.Filter):
    """Gives a record the ids that are bound where it was made."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.__dict__.update(_bound.get())
        return True


class TextLines(logging.Formatter):
    """`12:30:01 info quotepart.api: request method=GET status=200`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = (f" {name}={_plain(value)}" for name, value in vars(record).items() if name not in _OWN_ATTRIBUTES)
        return super().formatMessage(record) + "".join(facts)


def _plain(value: object) -> str:
    """The value, or its escaped form where it could break the line or steer a terminal: a caller may have chosen it."""
    text = str(value)
    return text if text.isprintable() else repr(text)


class Discreet(logging.StreamHandler[Any]):
    """Writes to stderr, with secrets blacked out."""

    def __init__(self, secrets: tuple[str, ...] = ()) -> None:
        super().__init__()
        escaped = (json.dumps(secret)[1:-1] for secret in secrets)
        self._secrets = sorted({*secrets, *escaped}, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
