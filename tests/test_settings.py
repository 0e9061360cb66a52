"""The environment as settings: what is accepted, what is refused, and with which words."""

from __future__ import annotations

import pytest

from app.settings import InvalidSetting, Settings, described, unknown_variables
from app.storage.database import secrets_in


def test_without_variables_the_defaults_hold() -> None:
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"QUOTEPART_MAX_EVENTS": "", "PATH": "/bin"}) == Settings()


def test_every_kind_of_setting_is_read() -> None:
    found = Settings.from_environment(
        {"QUOTEPART_MAX_EVENTS": "7", "QUOTEPART_RUN_JOBS": "no", "QUOTEPART_LOG_FORMAT": "json"}
    )
    assert (found.max_events, found.run_jobs, found.log_format) == (7, False, "json")


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("QUOTEPART_MAX_EVENTS", "0", "above 0"), ("QUOTEPART_MAX_EVENTS", "1.5", "whole number"),
        ("QUOTEPART_RUN_JOBS", "true", "yes, no"), ("QUOTEPART_LOG_LEVEL", "loud", "debug, info, warning, error"),
        ("QUOTEPART_BOOTSTRAP_KEY", "short", "20 or more"), ("QUOTEPART_BOOTSTRAP_KEY", " " * 20, "no space"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_what_would_be_right(name: str, text: str, accepted: str) -> None:
    with pytest.raises(InvalidSetting, match=accepted) as caught:
        Settings.from_environment({name: text})
    assert name in str(caught.value)


def test_a_misspelt_setting_is_found() -> None:
    variables = {item.variable: item.default for item in described()} | {"QUOTEPART_RUNJOBS": "no", "OTHER": "1"}
    assert unknown_variables(variables) == ["QUOTEPART_RUNJOBS"]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgresql://me:pass-word@host/db", ("pass-word",)), ("sqlite:///quotepart.db", ()), ("nothing", ()),
        ("postgresql://me:a%2Fb%40c@host/db", ("a/b@c", "a%2Fb%40c")),
        ("postgresql://me:p#ss@host/db", ("p#ss", "p%23ss")),
        ("postgresql://me@host/db?password=hunter2", ("hunter2",)),
        ("postgresql://me:se[cret@host/db", ("se[cret", "se%5Bcret")),
    ],
)  # fmt: skip
def test_the_passwords_of_a_url_are_found_however_they_are_written(url: str, found: tuple[str, ...]) -> None:
    assert secrets_in(url) == found
