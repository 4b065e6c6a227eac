"""The version of schema raw, and the steps that bring a warehouse of an older release to that of now.

Target: ``raw._schema_version``, one row. What a changed contract does to its own table is no matter of versions
(``ingest.migrate``): a version is of the ledger, the quarantine and how load tables are named.
"""

from __future__ import annotations

import psycopg

from ingest.errors import SchemaTooNew

VERSION = 5  # raised by every change of what ingest.ddl makes once, with a step below
TABLE = """
create table if not exists raw._schema_version (
    is_only_row boolean primary key default true check (is_only_row),
    version integer not null,
    upgraded_at timestamptz not null default now()
);
comment on table raw._schema_version is 'Version of schema raw: which releases can work on it.';
"""
# version → what leads there from the one before
STEPS = {
    2: """
        alter table raw._loads
        add column field_names text [],
        add column removed_by bigint,
        add column replay_of bigint,
        drop constraint _loads_status_check,
        add constraint _loads_status_check
        check (status in ('loaded', 'replaced', 'unloaded', 'refused', 'replayed', 'removal')),
        add check (record_count = loaded_count + rejected_count);
        update raw._loads as gone
        set removed_by = (
            select min(load_id) from raw._loads as next
            where next.source_file = gone.source_file and next.load_id > gone.load_id and next.status <> 'refused'
        )
        where status = 'replaced';
        drop table if exists raw._removed_users; -- whole rows are kept now, in a table of each feed
        do $$
        declare
            found record;
        begin
            for found in
                select relname from pg_class
                where relnamespace = 'raw'::regnamespace and relkind = 'r' and relname ~ '_load_[0-9]+$'
            loop
                execute format('alter table raw.%I rename to %I', found.relname, found.relname || '_1');
            end loop;
        end;
        $$;
    """,
    3: """
        alter table raw._loads
        add column erased_count bigint not null default 0,
        drop constraint _loads_check,
        add constraint _loads_check check (record_count = loaded_count + rejected_count + erased_count);
    """,
    # raw._cold_files, made with the ledger: a release that does not know of it would take cold rows for lost
    4: "select",
    5: "alter table raw._loads add column file_state text",
}


def schema_version(conn: psycopg.Connection) -> int:
    """The version that the warehouse has; 0 where it has no ledger yet."""
    if _is_there(conn, "select to_regclass('raw._schema_version') is not null"):
        row = conn.execute("select version from raw._schema_version").fetchone()
        if row:
            return int(row[0])
    if not _is_there(conn, "select to_regclass('raw._loads') is not null"):
        return 0
    # releases of before there was a version
    query = "select exists (select from pg_attribute where attrelid = 'raw._loads'::regclass and attname = 'replay_of')"
    return 2 if _is_there(conn, query) else 1


def upgrade(conn: psycopg.Connection) -> list[str]:
    """Go all steps from the version that the warehouse has to that of now; nothing where it has it, or has no ledger.

    Args:
        conn: acts as the owner of schema raw; its transaction is all or nothing.

    Returns:
        What was changed, a line each.

    Raises:
        SchemaTooNew: the warehouse is of a newer release.
    """
    found = schema_version(conn)
    if found > VERSION:
        raise SchemaTooNew(
            f"The warehouse has version {found} of schema raw, and this release knows {VERSION}: a newer release has "
            "upgraded it. Use that release, or restore a backup of before (docs/runbooks/upgrade.md)."
        )
    if found == 0:
        return []
    steps = range(found + 1, VERSION + 1)
    for version in steps:
        conn.execute(STEPS[version].encode())
    return [f"Schema raw was upgraded from version {found} to {VERSION}."] if steps else []


def write_version(conn: psycopg.Connection) -> None:
    """Write down that the warehouse has the version of now."""
    conn.execute(TABLE)
    conn.execute(
        "insert into raw._schema_version (version) values (%s) on conflict (is_only_row) do update"
        " set version = excluded.version, upgraded_at = now() where _schema_version.version <> excluded.version",
        [VERSION],
    )


def _is_there(conn: psycopg.Connection, query: str) -> bool:
    row = conn.execute(query.encode()).fetchone()
    return bool(row and row[0])
