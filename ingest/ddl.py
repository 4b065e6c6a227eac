"""The tables of schema raw: one per contract, and the ledger of loads beside them.

Target: ``raw.<feed>`` (the contract's columns and ``_load_id``), ``raw._removed_<feed>`` (the same columns: rows that a
load took out of it), ``raw._loads``, ``raw._rejects``, ``raw._changed_days``, ``raw._erasures``, ``raw._cold_files``,
``raw._schema_version``. They belong to the role ``ingest`` where it exists: the tables of large loads become children
of ``raw.<feed>``, and only its owner may do that. Reading them needs no grant of their own: a query of a parent is
checked against the parent's privileges alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from ingest.contract import EXTRACT_DATE, Contract
from ingest.errors import RawSchemaMismatchError
from ingest.migrate import migrate
from ingest.schema_version import upgrade, write_version
from ingest.server import scalar
from ingest.tables import (
    ADDED_COLUMNS,
    LOAD_ID_SETTING,
    SCHEMA,
    column_definition,
    columns_of,
    create_time_index,
    differing_columns,
    make_indexes,
    qualified_time_index,
    raw_table,
    removed_table,
    time_check,
    time_index,
    value_checks,
)

OWNER = "ingest"

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
    erased_count bigint not null default 0,
    status text not null check (status in ('loaded', 'replaced', 'unloaded', 'refused', 'replayed', 'removal')),
    error text,
    started_at timestamptz not null,
    finished_at timestamptz not null,
    run_id text,
    field_names text [],
    removed_by bigint,
    replay_of bigint,
    file_state text,
    check (record_count = loaded_count + rejected_count + erased_count)
);
comment on table raw._loads is 'Ledger: one row per delivered file and content.';
comment on column raw._loads.source_file is 'Path of the file below the landing folder.';
comment on column raw._loads.status is
    'loaded; replaced or unloaded (its rows are gone, see removed_by); refused (see error); replayed (see replay_of);'
    ' or removal (it brought no rows and unloaded others).';
comment on column raw._loads.erased_count is
    'Records of people who were erased: taken out later, or kept out when the file was loaded.';
comment on column raw._loads.field_names is 'Header of the file; null where it has none.';
comment on column raw._loads.removed_by is 'Load that took the rows of this one out of raw.';
comment on column raw._loads.replay_of is
    'Load whose quarantined records these are; its own counts take them in, and its removal removes them.';
comment on column raw._loads.file_state is
    'Of a loaded file: size, times of writing and of change, inode. While they are these it need not be read again.';
create table if not exists raw._changed_days (
    feed text not null,
    event_date date not null,
    load_id bigint not null,
    primary key (feed, event_date, load_id)
);
comment on table raw._changed_days is 'UTC days of which a load added or removed rows.';
create table if not exists raw._rejects (
    load_id bigint not null,
    feed text not null,
    line_number bigint not null,
    record bytea not null,
    column_name text,
    reason text not null,
    message text not null,
    replayed_at timestamptz,
    discarded_at timestamptz,
    primary key (load_id, line_number)
);
comment on table raw._rejects is 'Quarantine: one row per refused record of a load.';
comment on column raw._rejects.line_number is 'Physical line on which the record starts; the header is line 1.';
comment on column raw._rejects.record is 'The original bytes, without the line end.';
comment on column raw._rejects.replayed_at is 'When the record was loaded after all.';
comment on column raw._rejects.discarded_at is 'When somebody said that it is dealt with, and need not be replayed.';
create table if not exists raw._cold_files (
    path text primary key,
    load_id bigint not null,
    feed text not null,
    row_count bigint,
    sha256 text,
    first_date date,
    last_date date,
    aged_at timestamptz
);
comment on table raw._cold_files is 'Files that rows of old loads were moved to: retention.raw_days of the contracts.';
comment on column raw._cold_files.path is 'Path below the cold folder.';
comment on column raw._cold_files.load_id is 'Load whose rows these are, all of those that it has in raw.';
comment on column raw._cold_files.sha256 is 'Of the file.';
comment on column raw._cold_files.first_date is 'First day of the rows.';
comment on column raw._cold_files.aged_at is
    'When the rows left raw; null while they are in raw, still or again: then the file is in no use.';
create table if not exists raw._erasures (
    identity text not null,
    user_hash bytea not null,
    erased_at timestamptz not null default now(),
    completed_at timestamptz,
    primary key (identity, user_hash)
);
comment on table raw._erasures is 'Who was erased: whatever is loaded later is kept free of their records.';
comment on column raw._erasures.user_hash is 'SHA-256 of the salt, the identity, a line feed and the id.';
comment on column raw._erasures.completed_at is 'When the person was found nowhere in the warehouse any more.';
create table if not exists raw._erasure_salt (
    is_only_row boolean primary key default true check (is_only_row),
    salt bytea not null
);
comment on table raw._erasure_salt is 'What the hashes of raw._erasures are made with: random, of this warehouse.';
insert into raw._erasure_salt (salt)
select decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex')
on conflict do nothing;
"""
_INDEXES = {
    "raw._loads_one_loaded": sql.SQL(
        "create unique index _loads_one_loaded on raw._loads (source_file) where status = 'loaded'"
    ),
    "raw._loads_one_refused": sql.SQL(
        "create unique index _loads_one_refused on raw._loads (source_file, sha256) nulls not distinct"
        " where status = 'refused'"
    ),
    "raw._cold_files_one_in_use": sql.SQL(
        "create unique index _cold_files_one_in_use on raw._cold_files (load_id) where aged_at is not null"
    ),
}


def ensure_raw(conn: psycopg.Connection, contracts: Mapping[str, Contract]) -> list[str]:
    """Create what is missing in schema raw and bring what is there in line with the contracts; run it at any time.

    Args:
        conn: connection as ``ingest``, or as an owner who is a member of it. An open transaction is joined.
        contracts: contracts by feed.

    Returns:
        What was changed in tables that were there already, a line each.

    Raises:
        RawSchemaMismatchError: a contract changed in a way that its raw table cannot follow.
        SchemaTooNew: the warehouse is of a newer release.
    """
    with conn.transaction():
        conn.execute("select pg_advisory_xact_lock(hashtextextended('growth.ensure_raw', 0))")
        role_before = scalar(conn, "select current_setting('role')")
        _become_owner(conn)
        # A notice for everything that exists already would bury the ones that matter.
        conn.execute("set local client_min_messages = warning")
        changes = upgrade(conn)
        conn.execute(_LEDGER)
        make_indexes(conn, _INDEXES)
        write_version(conn)
        changes += [line for contract in contracts.values() for line in _ensure_feed(conn, contract)]
        conn.execute("select set_config('role', %s, true)", [role_before])
    return changes


def check_raw(conn: psycopg.Connection, contract: Contract) -> None:
    """Check that the raw table is there, with the contract's columns.

    Raises:
        RawSchemaMismatchError: it is not; the message names the differences.
    """
    found = columns_of(conn, raw_table(contract.feed))
    if not found:
        raise RawSchemaMismatchError(f"raw.{contract.feed} does not exist yet: run growth init")
    differences = differing_columns(contract, found)
    if differences:
        raise RawSchemaMismatchError(
            f"raw.{contract.feed} differs from its contract {contract.domain}/{contract.feed}.yml:\n"
            + "\n".join(f"  {line}" for line in differences)
        )


def _become_owner(conn: psycopg.Connection) -> None:
    """Create the schema, and act as the role ``ingest`` for the rest of the transaction, where it exists."""
    owner_exists = scalar(conn, "select exists (select from pg_roles where rolname = %s)", OWNER)
    if scalar(conn, "select to_regnamespace(%s) is null", SCHEMA):
        owner = sql.SQL("authorization {}").format(sql.Identifier(OWNER)) if owner_exists else sql.SQL("")
        conn.execute(sql.SQL("create schema {} {}").format(sql.Identifier(SCHEMA), owner))
    if owner_exists and scalar(conn, "select current_user <> %s", OWNER):
        conn.execute(sql.SQL("set local role {}").format(sql.Identifier(OWNER)))


def _ensure_feed(conn: psycopg.Connection, contract: Contract) -> list[str]:
    table, changes = raw_table(contract.feed), []
    if columns_of(conn, table):
        changes = migrate(conn, contract)
    else:
        conn.execute(_create_table(contract, table))
    index = create_time_index(contract, table, time_index(contract.feed))
    make_indexes(conn, {qualified_time_index(contract.feed): index})
    removed = removed_table(contract.feed)
    conn.execute(sql.SQL("create table if not exists {} (like {})").format(removed, table))
    conn.execute(sql.SQL("comment on table {} is 'Rows that loads took out of the feed.'").format(removed))
    _ensure_checks(conn, contract)
    check_raw(conn, contract)
    conn.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(contract.description)))
    descriptions = ADDED_COLUMNS | {column.name: column.description for column in contract.columns}
    for column, *_ in columns_of(conn, table):
        target = sql.Identifier(SCHEMA, contract.feed, column)
        conn.execute(sql.SQL("comment on column {} is {}").format(target, sql.Literal(descriptions[column])))
    return changes


def _create_table(contract: Contract, table: sql.Identifier) -> sql.Composed:
    lines: list[sql.Composable] = [column_definition(column) for column in contract.columns]
    if contract.has_extract_date:
        lines.append(sql.SQL("{} date not null").format(sql.Identifier(EXTRACT_DATE)))
    # COPY fills the contract's columns only; the load id comes from a setting of the load's transaction.
    lines.append(
        sql.SQL("_load_id bigint not null default cast(current_setting({}) as bigint)").format(
            sql.Literal(LOAD_ID_SETTING)
        )
    )
    return sql.SQL("create table {} (\n{}\n)").format(table, sql.SQL(",\n").join(lines))


def _ensure_checks(conn: psycopg.Connection, contract: Contract) -> None:
    """Give raw.<feed> the contract's checks, as they are now.

    For new rows of this table alone: the tables of large loads have had theirs, and what is in raw was right when it
    came.
    """
    wanted = time_check(contract) | value_checks(contract)
    table = raw_table(contract.feed)
    # The server shows a condition in words of its own, so the comment keeps ours, to see whether it has changed.
    present: dict[str, str | None] = dict(
        conn.execute(
            "select conname, obj_description(oid, 'pg_constraint') from pg_constraint"
            " where conrelid = %s::regclass and contype = 'c'",
            [table.as_string(conn)],
        ).fetchall()
    )
    texts = {name: condition.as_string(conn) for name, condition in wanted.items()}
    for name in present:
        if present[name] != texts.get(name):
            conn.execute(sql.SQL("alter table only {} drop constraint {}").format(table, sql.Identifier(name)))
    for name, text in texts.items():
        if present.get(name) != text:
            identifier = sql.Identifier(name)
            check = sql.SQL("alter table {} add constraint {} check ({}) no inherit not valid")
            conn.execute(check.format(table, identifier, wanted[name]))
            conn.execute(sql.SQL("comment on constraint {} on {} is {}").format(identifier, table, sql.Literal(text)))
