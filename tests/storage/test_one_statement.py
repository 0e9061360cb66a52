"""What PostgreSQL does for the statements of ingestion, whatever it knows of its tables."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.engine import Connection

from app.storage import one_statement
from app.storage.database import Database


def test_what_is_kept_is_found_by_key_on_a_table_of_which_nothing_is_known(postgresql_database_url: str) -> None:
    """20,000 events that no statistics tell of, and a thousand keys to look for: a walk through the table would seem
    cheaper."""

    def plan(connection: Connection) -> str:
        names = ("tenant_id", "identity", "source", "id", "type", "subject", "resource", "time", "time_sent", "data")
        connection.exec_driver_sql("ALTER TABLE events SET (autovacuum_enabled = off)")
        connection.exec_driver_sql(
            f"INSERT INTO events ({', '.join(names)}, attributes, received_at, digest, catalog_version) "
            "SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), '/c', n::text, 't', 's', '', now(), "
            "true, '{}', '', now(), '', 1 FROM generate_series(1, 20000) AS n"
        )
        keys = [str(UUID(int=number)) for number in range(1000)]
        statement = one_statement._FIND_KNOWN
        for number, name in ((1, "tenants"), (2, "identities"), (3, "digests")):
            statement = statement.replace(f"${number}::", f"%({name})s::")
        found = connection.exec_driver_sql(
            f"EXPLAIN {statement}", {"tenants": keys, "identities": keys, "digests": [b""] * 1000}
        )
        return "\n".join(found.scalars())

    database = Database.open(postgresql_database_url)
    found = database.write(plan)
    database.close()
    assert "Index Scan using pk_events on events" in found
    assert "Seq Scan on events" not in found
