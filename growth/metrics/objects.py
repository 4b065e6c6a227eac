"""What metrics need of the warehouse and no mart has, readable by analyst.

Target: view ``dwh._newest_days``, function ``dwh._longest_transaction_seconds()``.
"""

from __future__ import annotations

import psycopg

NEWEST_DAYS = """
create or replace view dwh._newest_days as
select days.feed, max(days.event_date) as newest_date
from raw._changed_days as days
inner join raw._loads as loads on days.load_id = loads.load_id
-- what lay ahead when its file was loaded stays in the ledger when it is unloaded
where days.event_date <= cast(loads.finished_at at time zone 'UTC' as date) + 1
group by days.feed;
comment on view dwh._newest_days is 'Newest day of events that a load of the feed brought; read by growth metrics.';
"""
# Missing, or that of an older release.
OUTDATED = "select coalesce(pg_get_viewdef(to_regclass('dwh._newest_days')) !~ 'finished_at', true)"
# Only its own sessions' transactions are shown to a reader: the owner looks for it, and tells one number. Whoever is
# asked with a superuser's rights must find nothing of the caller's: temporary relations come before all others, unless
# pg_temp is named, and named last. Names have their schema all the same.
LONGEST_TRANSACTION = """
drop function if exists dwh._longest_transaction_seconds();
create function dwh._longest_transaction_seconds() returns numeric
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select coalesce(extract(epoch from max(pg_catalog.clock_timestamp() - xact_start)), 0)
    from pg_catalog.pg_stat_activity
    where datname = pg_catalog.current_database() and pid <> pg_catalog.pg_backend_pid()
$$;
revoke execute on function dwh._longest_transaction_seconds() from public;
grant execute on function dwh._longest_transaction_seconds() to analyst;
"""
# Missing, that of an older release, or somebody else's.
OUTDATED_FUNCTION = """
select not exists (
    select from pg_proc
    where
        oid = to_regprocedure('dwh._longest_transaction_seconds()')
        and proconfig = '{"search_path=pg_catalog, pg_temp"}'
        and prosrc ~ 'pg_catalog.pg_stat_activity'
        and pg_get_userbyid(proowner) = current_user
)
"""


def ensure_readable(conn: psycopg.Connection) -> None:
    """Make what no mart has where it is missing or of an older release, as the owner of the warehouse."""
    if conn.execute(OUTDATED).fetchone() == (True,):
        # rights of the view are those of its owner: the role that may read raw
        conn.execute("set local role transform")
        conn.execute(NEWEST_DAYS)
        conn.execute("reset role")
    if conn.execute(OUTDATED_FUNCTION).fetchone() == (True,):
        conn.execute(LONGEST_TRANSACTION)


def has_longest_transaction(conn: psycopg.Connection) -> bool:
    """Whether the last of it is there."""
    return conn.execute("select to_regproc('dwh._longest_transaction_seconds')").fetchone() != (None,)
