"""Drop what nobody needs any more: rows that loads took out of raw, once every model has seen that.

Target: ``raw._removed_<feed>``.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import sql

from growth.settings import Warehouse
from ingest import ledger

# Also the states of developers' own schemas: their incremental models want to see who went, too.
STATES = """
select nspname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid
where relname = '_consumed_loads' and relkind = 'r'
"""
WAITING = """
exists (
    select from (select distinct model from {schema}._consumed_loads) as models
    where not exists (
        select from {schema}._consumed_loads as consumed
        where consumed.model = models.model and consumed.load_id = removals.load_id
    )
)
"""
REMOVALS = """
select removals.feed, array_agg(removals.load_id)
from raw._loads as removals
where
    exists (select from raw._loads as gone where gone.removed_by = removals.load_id) and not ({waiting})
    and to_regclass(format('raw.%I', '_removed_' || removals.feed)) is not null -- a feed that was dropped
group by removals.feed
"""


def forget_removed_rows(warehouse: Warehouse) -> list[str]:
    """Drop the removed rows that all models have consumed.

    Returns:
        The feeds that had such loads.
    """
    with psycopg.connect(warehouse.conninfo()) as conn:
        schemas = [schema for (schema,) in conn.execute(STATES)]
        if not schemas:
            return []
        waiting = sql.SQL(" or ").join(sql.SQL(WAITING).format(schema=sql.Identifier(schema)) for schema in schemas)
        done = conn.execute(sql.SQL(REMOVALS).format(waiting=waiting)).fetchall()
    with psycopg.connect(warehouse.conninfo("ingest")) as conn:
        conn.execute("set lock_timeout = '10s'")
        for feed, load_ids in done:
            # Who still reads them keeps them until the next run.
            with suppress(psycopg.errors.LockNotAvailable), conn.transaction():
                ledger.forget_removed(conn, feed, load_ids)
    return [feed for feed, _ in done]
