"""The tables of schema raw: one per contract, and the ledger of loads beside them.

Target: ``raw.<feed>`` (the contract's columns and ``_load_id``), ``raw._loads``, ``raw._changed_days``,
``raw._removed_users``. They belong to the role ``ingest`` where it exists: the tables of large loads become children of
``raw.<feed>``, and only its owner may do that. Reading them needs no grant of their own: a query of a parent is
checked against the parent's privileges alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import psycopg
from psycopg import sql

from ingest.contract import Contract
from ingest.errors import RawSchemaMismatchError

SCHEMA = "raw"
OWNER = "ingest"
LOAD_ID_SETTING = "growth.load_id"

_LEDGER = """
create table if not exists raw._loads (
    load_id bigint generated always as identity primary key,
    feed text not null,
    source_file text not null,
    sha256 text,
    size_bytes bigint not null,
    record_count bigint not null default 0,
    loaded_count bigint not null default 0,
    rejected_count bigint not null default 0,
    status text not null check (status in ('loaded', 'replaced', 'refused')),
    error text,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    run_id text
);
comment on table raw._loads is 'Ledger: one row per delivered file and content.';
comment on column raw._loads.source_file is 'Path of the file below the landing folder.';
comment on column raw._loads.status is 'loaded, replaced (by a later load of the same file), or refused (see error).';
create unique index if not exists _loads_one_loaded on raw._loads (source_file) where status = 'loaded';
create unique index if not exists _loads_one_refused on raw._loads (source_file, sha256) nulls not distinct
    where status = 'refused';
create table if not exists raw._changed_days (
    feed text not null,
    event_date date not null,
    load_id bigint not null,
    primary key (feed, event_date, load_id)
);
comment on table raw._changed_days is 'UTC days of which a load added or removed rows.';
create table if not exists raw._removed_users (
    feed text not null,
    user_id text not null,
    load_id bigint not null,
    primary key (feed, user_id, load_id)
);
comment on table raw._removed_users is 'Users of the rows that a load removed, by the load that removed them.';
"""


def raw_table(feed: str) -> sql.Identifier:
    """Name of a feed's raw table."""
    return sql.Identifier(SCHEMA, feed)


def load_table(feed: str, load_id: int) -> sql.Identifier:
    """Name of a large load's own table, a child of the feed's raw table."""
    return sql.Identifier(SCHEMA, f"{feed}_load_{load_id}")


def time_index(feed: str) -> str:
    """Name of the raw table's index on event time and load; no feed's name starts with an underscore."""
    return f"_{feed}_by_time"


def qualified_time_index(feed: str) -> str:
    """The same with its schema, as a regclass; a feed's name needs no quotes."""
    return f"{SCHEMA}.{time_index(feed)}"


def range_constraint(contract: Contract) -> str:
    """Name of the constraint that keeps event times within the years 1 to 9999."""
    return f"{contract.event_time}_range"


def day_expression(contract: Contract) -> sql.Composable:
    """UTC day of a row."""
    column = sql.Identifier(contract.event_time)
    if contract.column(contract.event_time).type == "date":
        return column
    return sql.SQL("cast({} at time zone 'UTC' as date)").format(column)


def create_time_index(
    contract: Contract, table: sql.Identifier, name: str | None = None, *, with_load_id: bool = True
) -> sql.Composed:
    """Statement for the BRIN index on event time and load: a few pages, and a day is found without reading history.

    One index over both, because it is built in one scan, and BRIN serves a condition on either column alone. Where all
    rows are of one load, the time is enough. On the time, not on its day: that would be computed for every row.
    """
    name_or_default = sql.SQL("if not exists {}").format(sql.Identifier(name)) if name else sql.SQL("")
    columns = [sql.Identifier(contract.event_time), *([sql.Identifier("_load_id")] if with_load_id else [])]
    return sql.SQL("create index {} on {} using brin ({})").format(name_or_default, table, sql.SQL(", ").join(columns))


def start_of_day(contract: Contract, day: date, days_later: int = 0) -> sql.Composable:
    """The first event time of a UTC day (or of one some days later), to compare the event time column with."""
    start = sql.SQL("(cast({} as date) + {})").format(sql.Literal(day.isoformat()), sql.Literal(days_later))
    if contract.column(contract.event_time).type == "date":
        return start
    return sql.SQL("(cast({} as timestamp) at time zone 'UTC')").format(start)


def ensure_raw(conn: psycopg.Connection, contracts: Mapping[str, Contract]) -> None:
    """Create what is missing in schema raw and check what is there; run it as often as you like.

    Args:
        conn: connection as ``ingest``, or as an owner who is a member of it. An open transaction is joined.
        contracts: contracts by feed.

    Raises:
        RawSchemaMismatchError: a raw table has other columns than its contract.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('growth.ensure_raw', 0))")
        role_before = _scalar(conn, "select current_setting('role')")
        _become_owner(conn)
        # A notice for everything that exists already would bury the ones that matter.
        conn.execute("set local client_min_messages = warning")
        conn.execute(_LEDGER)
        for contract in contracts.values():
            _ensure_feed(conn, contract)
        conn.execute("select set_config('role', %s, true)", [role_before])


def check_raw(conn: psycopg.Connection, contract: Contract) -> None:
    """Check that the raw table is there, with the contract's columns.

    Raises:
        RawSchemaMismatchError: it is not; the message names the differences.
    """
    found = _columns_of(conn, contract.feed)
    if not found:
        raise RawSchemaMismatchError(f"raw.{contract.feed} does not exist yet: run growth init")
    expected: list[tuple[str, str, bool]] = [
        (column.name, column.type, not column.nullable) for column in contract.columns
    ]
    differences = list(_differences(expected, [column for column in found if column[0] != "_load_id"]))
    if differences:
        raise RawSchemaMismatchError(
            f"raw.{contract.feed} differs from its contract {contract.domain}/{contract.feed}.yml:\n"
            + "\n".join(f"  {line}" for line in differences)
        )


def _become_owner(conn: psycopg.Connection) -> None:
    """Create the schema, and act as the role ``ingest`` for the rest of the transaction, where it exists."""
    owner_exists = _scalar(conn, "select exists (select from pg_roles where rolname = %s)", OWNER)
    if _scalar(conn, "select to_regnamespace(%s) is null", SCHEMA):
        owner = sql.SQL("authorization {}").format(sql.Identifier(OWNER)) if owner_exists else sql.SQL("")
        conn.execute(sql.SQL("create schema {} {}").format(sql.Identifier(SCHEMA), owner))
    if owner_exists and _scalar(conn, "select current_user <> %s", OWNER):
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(OWNER)))


def _ensure_feed(conn: psycopg.Connection, contract: Contract) -> None:
    table = raw_table(contract.feed)
    if not _columns_of(conn, contract.feed):
        conn.execute(_create_table(contract, table))
    conn.execute(create_time_index(contract, table, time_index(contract.feed)))
    check_raw(conn, contract)
    conn.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(contract.description)))
    for column in contract.columns:
        target = sql.Identifier(SCHEMA, contract.feed, column.name)
        conn.execute(sql.SQL("comment on column {} is {}").format(target, sql.Literal(column.description)))


def _create_table(contract: Contract, table: sql.Identifier) -> sql.Composed:
    lines = [
        sql.SQL("{} {}{}").format(
            sql.Identifier(column.name), sql.SQL(column.type), sql.SQL("" if column.nullable else " not null")
        )
        for column in contract.columns
    ]
    # COPY fills the contract's columns only; the load id comes from a setting of the load's transaction.
    lines.append(
        sql.SQL("_load_id bigint not null default cast(current_setting({}) as bigint)").format(
            sql.Literal(LOAD_ID_SETTING)
        )
    )
    # Infinity has no day, and what is outside these years cannot be read by most clients.
    time_type = contract.column(contract.event_time).type
    first, end = (sql.SQL(time_type) + sql.SQL(f" '{text}'") for text in _event_time_range(time_type))
    lines.append(
        sql.SQL("constraint {} check ({} >= {} and {} < {})").format(
            sql.Identifier(range_constraint(contract)),
            *(sql.Identifier(contract.event_time), first, sql.Identifier(contract.event_time), end),
        )
    )
    return sql.SQL("create table {} (\n{}\n)").format(table, sql.SQL(",\n").join(lines))


def _event_time_range(time_type: str) -> tuple[str, str]:
    midnight = "" if time_type == "date" else " 00:00:00+00"
    return f"0001-01-01{midnight}", f"10000-01-01{midnight}"


def _columns_of(conn: psycopg.Connection, feed: str) -> list[tuple[str, str, bool]]:
    """Name, type and whether required, of each column of a raw table; nothing where the table is missing."""
    rows = conn.execute(
        """
        select attname, case format_type(atttypid, atttypmod) when 'timestamp with time zone' then 'timestamptz'
            else format_type(atttypid, atttypmod) end, attnotnull
        from pg_attribute
        where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
        order by attnum
        """,
        [raw_table(feed).as_string(conn)],
    ).fetchall()
    return [(name, kind, required) for name, kind, required in rows]


def _differences(expected: list[tuple[str, str, bool]], found: list[tuple[str, str, bool]]) -> Iterable[str]:
    def shown(column: tuple[str, str, bool]) -> str:
        return f"{column[1]}{' not null' if column[2] else ''}"

    contract, table = ({column[0]: column for column in columns} for columns in (expected, found))
    for name in contract:
        if name not in table:
            yield f"{name}: in the contract ({shown(contract[name])}), not in the table"
        elif contract[name] != table[name]:
            yield f"{name}: {shown(contract[name])} in the contract, {shown(table[name])} in the table"
    for name in table:
        if name not in contract:
            yield f"{name}: in the table ({shown(table[name])}), not in the contract"


def _scalar(conn: psycopg.Connection, query: str, *parameters: object) -> object:
    row = conn.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]
