"""What metrics need of the warehouse and no mart has, readable by analyst.

Target: view ``dwh._newest_days``, function ``dwh._longest_transaction_seconds()``.
"""

from __future__ import annotations

import psycopg

NEWEST_DAYS = """
create view dwh._newest_days as
select feed, max(event_date) as newest_date from raw._changed_days group by feed;
comment on view dwh._newest_days is 'Newest day of events that a load of the feed brought; read by growth metrics.';
"""
# Only its own sessions' transactions are shown to a reader: the owner looks for it, and tells one number.
LONGEST_TRANSACTION = """
create function dwh._longest_transaction_seconds() returns numeric
language sql stable security definer set search_path = pg_catalog as $$
    select coalesce(extract(epoch from max(clock_timestamp() - xact_start)), 0)
    from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
$$;
revoke execute on function dwh._longest_transaction_seconds() from public;
grant execute on function dwh._longest_transaction_seconds() to analyst;
"""


def ensure_readable(conn: psycopg.Connection) -> None:
    """Make what no mart has where it is missing, as the owner of the warehouse."""
    if conn.execute("select to_regclass('dwh._newest_days')").fetchone() == (None,):
        # rights of the view are those of its owner: the role that may read raw
        conn.execute("set local role transform")
        conn.execute(NEWEST_DAYS)
        conn.execute("reset role")
    if conn.execute("select to_regproc('dwh._longest_transaction_seconds')").fetchone() == (None,):
        conn.execute(LONGEST_TRANSACTION)
