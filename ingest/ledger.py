"""The ledger of loads: what is in raw, which days a load changed, whose rows it removed.

Target: ``raw._loads``, ``raw._changed_days``, ``raw._removed_<feed>``. Everything here runs in the transaction of the
file it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise

import psycopg
from psycopg import sql

from ingest.contract import Contract
from ingest.tables import SCHEMA, columns_of, day_expression, raw_table, removed_table, start_of_day

LOCK_TIMEOUT = "5min"
MAX_DAY_GAPS = 20
_LOADED_FILE = sql.SQL(
    "load_id, sha256, size_bytes, loaded_count, rejected_count, field_names,"
    " cast(started_at at time zone 'UTC' as date)"
)


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The load whose rows of a file are in raw now."""

    load_id: int
    sha256: str
    size_bytes: int
    loaded_count: int
    rejected_count: int
    field_names: tuple[str, ...] | None
    loaded_on: date


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger says of a file: where it lay, what it held, when and by which run it was loaded, its header.

    ``file_state`` is None where it does not vouch for the content.
    """

    feed: str
    source_file: str
    sha256: str | None
    size_bytes: int
    started_at: datetime
    run_id: str | None
    field_names: tuple[str, ...] | None = None
    file_state: str | None = None


def lock_path(conn: psycopg.Connection, source_file: str) -> None:
    """Wait until no other transaction loads this path; the lock ends with the transaction."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('growth.load:' || %s, 0))", [source_file])


def loaded_file(conn: psycopg.Connection, source_file: str) -> LoadedFile | None:
    """The load whose rows of this path are in raw, if there is one."""
    row = conn.execute(
        sql.SQL("select {} from raw._loads where source_file = %s and status = 'loaded'").format(_LOADED_FILE),
        [source_file],
    ).fetchone()
    return LoadedFile(*row) if row else None


def known_files(conn: psycopg.Connection, feed: str) -> dict[tuple[str, str], LoadedFile]:
    """The loads whose rows of a feed are in raw, by path and state of the file; not those with a refusal to forget."""
    rows = conn.execute(
        sql.SQL(
            "select source_file, file_state, {} from raw._loads as loads where feed = %s and status = 'loaded'"
            " and file_state is not null and not exists (select from raw._loads as others"
            " where others.source_file = loads.source_file and others.status = 'refused')"
        ).format(_LOADED_FILE),
        [feed],
    )
    return {(path, state): LoadedFile(*row) for path, state, *row in rows}


def keep_extract(conn: psycopg.Connection, feed: str, source_file: str, old: LoadedFile) -> str:
    """Give way to a later extract that came at the same path: the earlier one stays, named as its date's folder would.

    Returns:
        The path that the ledger has for it now.
    """
    rest = source_file.removeprefix(f"{feed}/")
    name = f"{feed}/extract_date={old.loaded_on}/{rest}"
    if loaded_file(conn, name) is not None:
        name = f"{feed}/extract_date={old.loaded_on}/load={old.load_id}/{rest}"
    conn.execute(
        "update raw._loads set source_file = %s where load_id = %s or replay_of = %s", [name, old.load_id, old.load_id]
    )
    return name


def next_load_id(conn: psycopg.Connection) -> int:
    """A new load id; ids of loads that were rolled back stay unused."""
    row = conn.execute("select nextval(pg_get_serial_sequence('raw._loads', 'load_id'))").fetchone()
    assert row is not None
    return int(row[0])


def record_loaded(
    conn: psycopg.Connection, load_id: int, entry: Entry, loaded: int, rejected: int, erased: int
) -> None:
    """Write down a load; a refusal of the very same content, before its contract was mended, is forgotten."""
    conn.execute(
        "delete from raw._loads where source_file = %s and status = 'refused' and coalesce(sha256, %s) = %s",
        [entry.source_file, entry.sha256, entry.sha256],
    )
    conn.execute(
        """
        insert into raw._loads (load_id, feed, source_file, sha256, size_bytes, record_count, loaded_count,
            rejected_count, erased_count, status, started_at, finished_at, run_id, field_names, file_state)
        overriding system value
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, 'loaded', %s, clock_timestamp(), %s, %s, %s)
        """,
        [
            *(load_id, entry.feed, entry.source_file, entry.sha256, entry.size_bytes, loaded + rejected + erased),
            *(loaded, rejected, erased, entry.started_at, entry.run_id),
            *(None if entry.field_names is None else list(entry.field_names), entry.file_state),
        ],
    )


def record_removal(conn: psycopg.Connection, load_id: int, entry: Entry) -> None:
    """Write down a load that brings nothing: its days and rows are those of the loads that it removes."""
    _record_other(conn, load_id, entry, "removal", 0, None)


def record_replay(conn: psycopg.Connection, load_id: int, entry: Entry, of: int, loaded: int, erased: int) -> None:
    """Write down that records left the quarantine of a load; that load counts them as loaded from now on."""
    _record_other(conn, load_id, entry, "replayed", loaded, of)
    conn.execute(
        "update raw._loads set loaded_count = loaded_count + %s, rejected_count = rejected_count - %s,"
        " erased_count = erased_count + %s where load_id = %s",
        [loaded, loaded + erased, erased, of],
    )


def _record_other(
    conn: psycopg.Connection, load_id: int, entry: Entry, status: str, loaded: int, replay_of: int | None
) -> None:
    conn.execute(
        """
        insert into raw._loads (load_id, feed, source_file, sha256, size_bytes, record_count, loaded_count, status,
            started_at, finished_at, run_id, replay_of)
        overriding system value
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, clock_timestamp(), %s, %s)
        """,
        [
            *(load_id, entry.feed, entry.source_file, entry.sha256, entry.size_bytes, loaded, loaded, status),
            *(entry.started_at, entry.run_id, replay_of),
        ],
    )


def record_state(conn: psycopg.Connection, load_id: int, file_state: str) -> None:
    """Write down what a file looks like that has a load's content; at another time where the load is being changed."""
    conn.execute(
        "update raw._loads set file_state = %s where load_id ="
        " (select load_id from raw._loads where load_id = %s and status = 'loaded' for update skip locked)",
        [file_state, load_id],
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
    column = sql.Identifier(contract.time_column)
    if contract.time_type == "date":
        day = sql.SQL("cut")
        cut: sql.Composable = column
    else:
        cut = sql.SQL("date_bin('1 day', {}, timestamptz '0001-01-01 00:00:00+00')").format(column)
        day = sql.SQL("cast(cut at time zone 'UTC' as date)")
    query = sql.SQL(
        "select {}, row_count from (select {} as cut, count(*) as row_count from {} where {} group by 1) as days"
    ).format(day, cut, table, condition)
    return {event_date: int(row_count) for event_date, row_count in conn.execute(query)}


def days_of_load(conn: psycopg.Connection, contract: Contract, load_id: int) -> set[date]:
    """The UTC days of the rows that a load has in raw.<feed> itself."""
    only = sql.SQL("only {}").format(raw_table(contract.feed))
    with index_scans_only(conn):
        return set(days_in(conn, contract, only, sql.SQL("_load_id = {}").format(sql.Literal(load_id))))


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
    time = sql.Identifier(contract.time_column)
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


def remove_load(conn: psycopg.Connection, contract: Contract, old_load_id: int, new_load_id: int, status: str) -> None:
    """Take a load's rows out of raw, and those that were replayed from its quarantine.

    The rows move to raw._removed_<feed>, so that the models can see whom they belonged to; their days are written down
    for the load that takes them out.
    """
    feed = contract.feed
    # The same lock comes first wherever children come and go, so that two loads cannot wait for each other.
    lock_children(conn, feed)
    gone = [
        load_id
        for (load_id,) in conn.execute(
            "update raw._loads set status = %s, removed_by = %s where load_id = %s or replay_of = %s returning load_id",
            [status, new_load_id, old_load_id, old_load_id],
        )
    ]
    for load_id in gone:
        for table in load_tables(conn, feed, load_id):
            record_changed_days(conn, feed, days_by_index(conn, contract, table), new_load_id)
            conn.execute(
                sql.SQL("alter table {table} no inherit {raw}; alter table {table} inherit {removed}").format(
                    table=table, raw=raw_table(feed), removed=removed_table(feed)
                )
            )
    only = sql.SQL("only {}").format(raw_table(feed))
    condition = sql.SQL("_load_id = any({})").format(sql.Literal(gone))
    record_changed_days(conn, feed, days_in(conn, contract, only, condition), new_load_id)
    # Rows that are in files (ingest.cold) come back before a model wants to see whose they were. A ledger that is not
    # upgraded yet knows of none: unloading is also the way out where that cannot be done.
    if conn.execute("select to_regclass('raw._cold_files')").fetchone() != (None,):
        conn.execute(
            "insert into raw._changed_days (feed, event_date, load_id) select days.feed, days.event_date, %s"
            " from raw._changed_days as days inner join raw._cold_files as cold on days.load_id = cold.load_id"
            " where cold.load_id = any(%s) and cold.aged_at is not null on conflict do nothing",
            [new_load_id, gone],
        )
    # as the table has them: unloading is also the way out where a contract has changed too far
    names = [name for name, _, _ in columns_of(conn, raw_table(feed))]
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    conn.execute(
        sql.SQL(
            "with gone as (delete from {only} where {condition} returning {columns})"
            " insert into {removed} ({columns}) select {columns} from gone"
        ).format(only=only, condition=condition, columns=columns, removed=removed_table(feed))
    )


def forget_removed(conn: psycopg.Connection, feed: str, load_ids: Sequence[int]) -> None:
    """Drop the rows that these loads took out of a feed: every model has seen them."""
    gone = [
        load_id
        for (load_id,) in conn.execute(
            "select load_id from raw._loads where feed = %s and removed_by = any(%s)", [feed, list(load_ids)]
        )
    ]
    detached = conn.execute(
        "select relname, cast(substring(relname from '_load_(\\d+)_\\d+$') as bigint) from pg_class"
        " where oid in (select inhrelid from pg_inherits where inhparent = %s::regclass)",
        [removed_table(feed).as_string(conn)],
    ).fetchall()
    for name, load_id in detached:
        if load_id in gone:
            conn.execute(sql.SQL("drop table {}").format(sql.Identifier(SCHEMA, name)))
    conn.execute(sql.SQL("delete from only {} where _load_id = any(%s)").format(removed_table(feed)), [gone])


def load_tables(conn: psycopg.Connection, feed: str, load_id: int) -> list[sql.Identifier]:
    """The tables of a load, attached or not."""
    names = conn.execute(
        "select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'r' and relname ~ %s"
        " order by relname",
        [SCHEMA, rf"^{feed}_load_{load_id}_\d+$"],
    )
    return [sql.Identifier(SCHEMA, name) for (name,) in names]


def claim(conn: psycopg.Connection, load_id: int) -> None:
    """Say that this load is under way, until the transaction ends."""
    conn.execute("select pg_advisory_xact_lock(hashtextextended('growth.load_id:' || %s::text, 0))", [load_id])


def sweep(conn: psycopg.Connection, feed: str) -> None:
    """Drop load tables that are part of nothing and that no load under way has claimed: a killed one left them."""
    unattached = """
        select relname, substring(relname from '_load_([0-9]+)_[0-9]+$') as load_id from pg_class
        where relnamespace = to_regnamespace(%s) and relkind = 'r' and relname ~ %s
            and not exists (select from pg_inherits where inhrelid = pg_class.oid)
    """
    parameters = [SCHEMA, rf"^{feed}_load_\d+_\d+$"]
    with conn.transaction():
        free = [
            load_id
            for load_id in sorted({load_id for _, load_id in conn.execute(unattached, parameters)})
            if _try_claim(conn, load_id)
        ]
        # Looked for again: a load that was under way may have ended, and its tables be part of the feed, in between.
        for name, load_id in conn.execute(unattached, parameters).fetchall():
            if load_id in free:
                conn.execute(sql.SQL("drop table {}").format(sql.Identifier(SCHEMA, name)))


def _try_claim(conn: psycopg.Connection, load_id: str) -> bool:
    row = conn.execute(
        "select pg_try_advisory_xact_lock(hashtextextended('growth.load_id:' || %s, 0))", [load_id]
    ).fetchone()
    return bool(row and row[0])


def lock_children(conn: psycopg.Connection, feed: str) -> None:
    """Keep other loads (and ANALYZE) from the feed's children until the transaction ends; reading goes on.

    From here on a session that sits on an old read of a child fails the load after a while, and never hangs it.
    """
    conn.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(LOCK_TIMEOUT)))
    conn.execute(sql.SQL("lock table only {} in share update exclusive mode").format(raw_table(feed)))
