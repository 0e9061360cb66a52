"""A key that may less is told so, in answers that are documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.running import EXAMPLES, application, new_key, run, seed
from tests.contract.whole import check


@pytest.mark.parametrize(
    ("scopes", "tenant"), [(("ingest", "read", "finance"), "acme"), (("read",), ""), (("ingest",), "")],
    ids=["a tenant's own key", "a key that reads", "a key that ingests"],
)  # fmt: skip
def test_every_answer_to_a_lesser_key_is_as_documented(sqlite_url: str, scopes: tuple[Any, ...], tenant: str) -> None:
    seed(sqlite_url)
    key = new_key(sqlite_url, *scopes, tenant=tenant)
    with application(sqlite_url) as app:
        report = run(app, phases=("examples", "fuzzing"), examples=EXAMPLES // 10 or 2, key=key)

    check(report)
    changing = {label for label in report.statuses if label.startswith(("PUT", "PATCH"))}
    assert changing & report.answered(200, 201) == set()
    assert changing <= report.answered(403)
