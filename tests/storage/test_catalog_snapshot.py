"""What ingestion knows of the catalog is the same however many subjects there are."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from app.domain.ids import NOBODY
from app.storage import catalog_snapshot
from app.storage.catalog_snapshot import CatalogCache
from app.storage.database import Database
from app.storage.tables import tenant_subjects, tenants

JANUARY, JUNE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
ACME, GARAGE = UUID(int=1), UUID(int=2)
CLAIMS = [("badge-1", JUNE, GARAGE), ("badge-1", JANUARY, ACME), ("badge-2", JANUARY, ACME), ("badge-3", JUNE, GARAGE)]


@pytest.fixture
def claimed(database: Database) -> Database:
    """badge-1 was ACME's from January and is the garage's from June."""

    def claim(connection: Connection) -> None:
        texts = dict.fromkeys(("name", "currency", "time_zone", "language", "legal"), "")
        connection.execute(
            tenants.insert(),
            [{"tenant_id": key, "key": key.hex, "operator": False} | texts for key in (ACME, GARAGE)],
        )
        connection.execute(
            tenant_subjects.insert(),
            [{"subject": subject, "from_at": at, "tenant_id": owner} for subject, at, owner in CLAIMS],
        )

    database.write(claim)
    return database


@pytest.mark.parametrize("few", [len(CLAIMS), len(CLAIMS) - 1])
def test_whose_a_subject_is_does_not_depend_on_how_many_there_are(
    claimed: Database, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(catalog_snapshot, "_FEW", few)
    cache = CatalogCache()
    subjects = {"badge-1", "badge-2", "badge-3", "nobody"}
    snapshot = cache.covering(claimed, subjects, set())
    found = {
        (name, at.month): snapshot.tenant_of(name, at) for name in sorted(subjects) for at in (JANUARY, JUNE)
    }  # fmt: skip
    assert found == {
        ("badge-1", 1): ACME, ("badge-1", 6): GARAGE, ("badge-2", 1): ACME, ("badge-2", 6): ACME,
        ("badge-3", 1): NOBODY, ("badge-3", 6): GARAGE, ("nobody", 1): NOBODY, ("nobody", 6): NOBODY,
    }  # fmt: skip


@pytest.mark.parametrize(("few", "looks"), [(len(CLAIMS), 0), (len(CLAIMS) - 1, 1)])
def test_of_few_subjects_none_is_looked_up_again(
    claimed: Database, monkeypatch: pytest.MonkeyPatch, few: int, looks: int
) -> None:
    monkeypatch.setattr(catalog_snapshot, "_FEW", few)
    cache = CatalogCache()
    cache.covering(claimed, {"badge-1"}, set())
    asked: list[str] = []
    sa.event.listen(claimed.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    cache.covering(claimed, {"badge-2", "badge-3"}, set())
    assert len([statement for statement in asked if "tenant_subjects" in statement]) == looks
