"""What one answer gives is there for the next request: chains of calls along the links of the document."""

from __future__ import annotations

from tests.contract.running import EXAMPLES, application, run, seed
from tests.contract.whole import check


def test_whatever_follows_an_answer_is_as_documented(database_url: str) -> None:
    seed(database_url)
    with application(database_url) as app:
        report = run(app, phases=("stateful",), examples=EXAMPLES or 25, mode="positive")

    check(report)
    assert len(report.answered(200, 201, 202, 204)) > 10
