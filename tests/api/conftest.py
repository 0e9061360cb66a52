from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.service import Api, service


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    with service(database_url) as running:
        yield running
