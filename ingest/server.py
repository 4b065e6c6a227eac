"""What is asked of the server in several places, and what of it depends on the server's version."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from ingest.tables import qualified_time_index


def scalar(conn: psycopg.Connection, query: sql.Composed | str, *parameters: object) -> Any:
    """The one value of a query that gives one."""
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def only_itself(conn: psycopg.Connection) -> sql.SQL:
    """What keeps ``analyze`` and ``vacuum`` of a table from going on to its children, as Postgres 18 does."""
    return sql.SQL("only" if conn.info.server_version >= 180000 else "")


def summarize_new_rows(conn: psycopg.Connection, feed: str) -> None:
    """Let a feed's time index know what is new, or every later search reads the new pages too."""
    conn.execute("select brin_summarize_new_values(%s::regclass)", [qualified_time_index(feed)])
