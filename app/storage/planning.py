"""How PostgreSQL is to plan a page of a list; SQLite always plans in one way."""

from __future__ import annotations

from sqlalchemy.engine import Connection


def plan_for_values(connection: Connection) -> None:
    """Until the transaction ends, statements are planned for the values that they are asked with.

    A plan for any value does not know how short a page is: it may sort all that could be listed.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")
