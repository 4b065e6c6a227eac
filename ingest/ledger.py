"""The ledger of loads: what is in raw, which days a load changed, whose rows it removed.

Target: ``raw._loads``, ``raw._changed_days``, ``raw._removed_users``. Everything here runs in the transaction of the
file it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import psycopg
from psycopg import sql

from ingest.contract import Contract
from ingest.ddl import day_expression, load_table, raw_table, start_of_day

LOCK_TIMEOUT = "5min"
MAX_DAY_GAPS = 20


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The load whose rows of a file are in raw now."""

    load_id: int
    sha256: str
    size_bytes: int
    record_count: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of a file: where it lay, what it held, when it was loaded, and by which run."""

    feed: str
    source_file: str
    sha256: str | None
    size_bytes: int
    started_at: datetime
    run_id: str | None


def lock_path(conn: psycopg.Connection, source_file: str) -> None:
    """Wait until no other transaction loads this path; the lock ends with the transaction."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('growth.load:' || %s, 0))", [source_file])


def loaded_file(conn: psycopg.Connection, source_file: str) -> LoadedFile | None:
    """The load whose rows of this path are in raw, if there is one."""
    row = conn.execute(
        "select load_id, sha256, size_bytes, record_count from raw._loads where source_file = %s and status = 'loaded'",
        [source_file],
    ).fetchone()
    return LoadedFile(*row) if row else None


def next_load_id(conn: psycopg.Connection) -> int:
    """A new load id; ids of loads that were rolled back stay unused."""
    row = conn.execute("select nextval(pg_get_serial_sequence('raw._loads', 'load_id'))").fetchone()
    assert row is not None
    return int(row[0])


def record_loaded(conn: psycopg.Connection, load_id: int, entry: Entry, record_count: int) -> None:
    """Write down a load; a refusal of the very same content, before its contract was mended, is forgotten."""
    conn.execute(
        "delete from raw._loads where source_file = %s and status = 'refused' and coalesce(sha256, %s) = %s",
        [entry.source_file, entry.sha256, entry.sha256],
    )
    conn.execute(
        """
        insert into raw._loads (load_id, feed, source_file, sha256, size_bytes, record_count, loaded_count, status,
            started_at, finished_at, run_id)
        overriding system value
        values (%s, %s, %s, %s, %s, %s, %s, 'loaded', %s, clock_timestamp(), %s)
        """,
        [
            *(load_id, entry.feed, entry.source_file, entry.sha256, entry.size_bytes, record_count, record_count),
            *(entry.started_at, entry.run_id),
        ],
    )


def forget_refusals(conn: psycopg.Connection, source_file: str) -> None:
    """Drop what was written of other contents of a path that again holds what is loaded."""
    conn.execute("delete from raw._loads where source_file = %s and status = 'refused'", [source_file])


def record_refused(conn: psycopg.Connection, entry: Entry, error: str) -> int:
    """Write down a refusal: one row per path and content, so that a retry updates it.

    Returns:
        The load id of the refusal.
    """
    row = conn.execute(
        """
        insert into raw._loads (feed, source_file, sha256, size_bytes, status, error, started_at, finished_at, run_id)
        values (%s, %s, %s, %s, 'refused', %s, %s, clock_timestamp(), %s)
        on conflict (source_file, sha256) where status = 'refused' do update set
            error = excluded.error, started_at = excluded.started_at, finished_at = excluded.finished_at,
            run_id = excluded.run_id
        returning load_id
        """,
        [
            *(entry.feed, entry.source_file, entry.sha256, entry.size_bytes),
            *(error.replace("\x00", "\\0"), entry.started_at, entry.run_id),
        ],
    ).fetchone()
    assert row is not None
    return int(row[0])


def record_changed_days(conn: psycopg.Connection, feed: str, days: Iterable[date], load_id: int) -> None:
    """Write down the UTC days of which a load added or removed rows."""
    conn.execute(
        """
        insert into raw._changed_days (feed, event_date, load_id)
        select %s, day, %s from unnest(cast(%s as date[])) as day
        on conflict do nothing
        """,
        [feed, load_id, sorted(days)],
    )


def days_in(
    conn: psycopg.Connection, contract: Contract, table: sql.Composable, condition: sql.Composable
) -> dict[date, int]:
    """Rows of each UTC day, found in one scan.

    Cutting to whole days comes before the conversion to a date: it is plain arithmetic, and several times as fast.
    """
    column = sql.Identifier(contract.event_time)
    if contract.column(contract.event_time).type == "date":
        day = sql.SQL("cut")
        cut: sql.Composable = column
    else:
        cut = sql.SQL("date_bin('1 day', {}, timestamptz '0001-01-01 00:00:00+00')").format(column)
        day = sql.SQL("cast(cut at time zone 'UTC' as date)")
    query = sql.SQL(
        "select {}, row_count from (select {} as cut, count(*) as row_count from {} where {} group by 1) as days"
    ).format(day, cut, table, condition)
    return {event_date: int(row_count) for event_date, row_count in conn.execute(query)}


def days_by_index(conn: psycopg.Connection, contract: Contract, table: sql.Identifier) -> set[date]:
    """Exactly the UTC days of a table of its own, without reading all of it.

    A sample of its pages shows most days, as a rule all of them. Whether there are others, below, above or between, is
    then a question to the index on the time, which answers from a few pages wherever it knows better.
    """
    day = day_expression(contract)
    sampled = sql.SQL("select distinct {} from {} tablesample system (1) repeatable (1)").format(day, table)
    days = {event_date for (event_date,) in conn.execute(sampled)}
    gaps = [(before, after) for before, after in pairwise(sorted(days)) if (after - before).days > 1]
    if not days or len(gaps) > MAX_DAY_GAPS:
        return set(days_in(conn, contract, table, sql.SQL("true")))
    time = sql.Identifier(contract.event_time)
    unknown = [
        sql.SQL("{} < {}").format(time, start_of_day(contract, min(days))),
        sql.SQL("{} >= {}").format(time, start_of_day(contract, max(days), 1)),
        *(
            sql.SQL("({} >= {} and {} < {})").format(
                *(time, start_of_day(contract, before, 1)), *(time, start_of_day(contract, after))
            )
            for before, after in gaps
        ),
    ]
    with index_scans_only(conn):
        return days | days_in(conn, contract, table, sql.SQL(" or ").join(unknown)).keys()


@contextmanager
def index_scans_only(conn: psycopg.Connection) -> Iterator[None]:
    """Search by index whatever the statistics say: they know nothing of rows that this transaction wrote."""
    conn.execute("set local enable_seqscan = off")
    yield
    conn.execute("set local enable_seqscan = on")


def remove_load(conn: psycopg.Connection, contract: Contract, old: LoadedFile, new_load_id: int) -> None:
    """Take a file's old rows out of raw; what they touched is written down for the load that replaces them."""
    feed = contract.feed
    table = load_table(feed, old.load_id)
    if exists(conn, table):
        _record_removed_users(conn, contract, table, new_load_id)
        record_changed_days(conn, feed, days_by_index(conn, contract, table), new_load_id)
        # The same lock comes first wherever children come and go, so that two loads cannot wait for each other.
        lock_children(conn, feed)
        conn.execute(sql.SQL("drop table {}").format(table))
    else:
        parent = sql.SQL("only {}").format(raw_table(feed))
        condition = sql.SQL("_load_id = {}").format(sql.Literal(old.load_id))
        _record_removed_users(conn, contract, parent, new_load_id, condition)
        record_changed_days(conn, feed, days_in(conn, contract, parent, condition), new_load_id)
        conn.execute(sql.SQL("delete from {} where {}").format(parent, condition))
    conn.execute("update raw._loads set status = 'replaced' where load_id = %s", [old.load_id])


def lock_children(conn: psycopg.Connection, feed: str) -> None:
    """Keep other loads (and ANALYZE) from the feed's children until the transaction ends; reading goes on.

    From here on a session that sits on an old read of a child fails the load after a while, and never hangs it.
    """
    conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    conn.execute(sql.SQL("lock table only {} in share update exclusive mode").format(raw_table(feed)))


def _record_removed_users(
    conn: psycopg.Connection,
    contract: Contract,
    table: sql.Composable,
    load_id: int,
    condition: sql.Composable = sql.SQL("true"),  # noqa: B008  (immutable)
) -> None:
    conn.execute(
        sql.SQL(
            """
            with removed as materialized (select distinct {user} as user_id from {table} where {condition})
            insert into raw._removed_users (feed, user_id, load_id)
            select {distinct} {feed}, trim(cast(user_id as text)), cast({load_id} as bigint)
            from removed
            where trim(cast(user_id as text)) <> ''
            order by 2  -- in the order of the primary key: much faster for a million users
            """
        ).format(
            feed=sql.Literal(contract.feed),
            load_id=sql.Literal(load_id),
            user=sql.Identifier(contract.user),
            table=table,
            condition=condition,
            # only texts can become equal by trimming
            distinct=sql.SQL("distinct" if contract.column(contract.user).type == "text" else ""),
        )
    )


def exists(conn: psycopg.Connection, table: sql.Identifier) -> bool:
    """Whether a table is there."""
    row = conn.execute("select to_regclass(%s) is not null", [table.as_string(conn)]).fetchone()
    return bool(row and row[0])
