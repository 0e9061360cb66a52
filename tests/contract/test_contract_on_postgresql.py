"""On PostgreSQL, too, every answer is as documented; boundary values of large bodies are refused before a database is
asked."""

from __future__ import annotations

import pytest

from tests.contract.whole import LARGE_BODIES, PARTS, ask_for_everything


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_as_documented(postgresql_database_url: str, part: str) -> None:
    ask_for_everything(postgresql_database_url, part, without_coverage=LARGE_BODIES)
