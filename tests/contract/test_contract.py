"""Whatever is sent, the answer is one that the published document names, in the shape that it gives.

python -m pytest tests/contract                                              as part of every test run
QUOTEPART_CONTRACT_EXAMPLES=2000 QUOTEPART_CONTRACT_SEED=7 python -m pytest tests/contract -n 2 --dist load
"""

from __future__ import annotations

import pytest

from tests.contract.whole import PARTS, TWICE, ask_for_everything


@pytest.mark.parametrize("part", PARTS)
def test_every_answer_is_as_documented(sqlite_url: str, part: str) -> None:
    ask_for_everything(sqlite_url, part, without_coverage=TWICE)
