"""The database that the ways load into: new, and removed at the end."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from embedded.tuning import settings
from growth.settings import Warehouse
from ingest.contract import Contract

DATABASE = "growth_bench_load"
DLT_SCHEMA = "bench_dlt"
PLAIN_TABLE = "plain"
SHOWN_SETTINGS = ("wal_level", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")


@contextmanager
def new_database() -> Iterator[str]:
    """Connection string of a new database, on the server of ``WAREHOUSE_HOST`` or on one started for it.

    The started one has the settings of the embedded server; it is stopped and removed at the end.
    """
    warehouse = Warehouse.from_environment()
    if warehouse is not None:
        yield from _database(warehouse.conninfo())
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
    from support.postgres import throwaway_postgres

    tuned = settings(Path(tempfile.gettempdir()))
    durable = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    with throwaway_postgres(*(f"{name}={value}" for name, value in (tuned | durable).items())) as server:
        yield from _database(server.conninfo())


def _database(conninfo: str) -> Iterator[str]:
    name = sql.Identifier(DATABASE)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(sql.SQL("drop database if exists {} with (force)").format(name))
        conn.execute(sql.SQL("create database {}").format(name))
    try:
        # the warehouse's owner searches no schema for tables by default; these are of no warehouse
        yield make_conninfo(conninfo, dbname=DATABASE, options="")
    finally:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(sql.SQL("drop database {} with (force)").format(name))


def client_environment(conninfo: str) -> dict[str, str]:
    """The environment of a process that finds the database as every libpq program does: no password in its command."""
    names = {"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD"}
    given = conninfo_to_dict(conninfo)
    found = {variable: str(given[name]) for name, variable in names.items() if given.get(name)}
    return os.environ | found | {"PGOPTIONS": "-c timezone=UTC -c datestyle=ISO,YMD"}


def describe(conninfo: str) -> str:
    """Release and settings of the server, in one line."""
    with psycopg.connect(conninfo) as conn:
        values = [
            f"{name} {conn.execute('select current_setting(%s)', [name]).fetchone()[0]}" for name in SHOWN_SETTINGS
        ]
        return f"Postgres {conn.info.parameter_status('server_version')} ({', '.join(values)})"


def drop_tables(conninfo: str, keep_raw: bool) -> None:
    """Remove what earlier ways left; ``keep_raw``: all but the schema raw."""
    schemas = (DLT_SCHEMA, f"{DLT_SCHEMA}_staging", *(() if keep_raw else ("raw",)))
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("set client_min_messages = warning")
        conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(PLAIN_TABLE)))
        for schema in schemas:
            conn.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))


def create_plain_table(conninfo: str, contract: Contract) -> None:
    """An empty table with the contract's columns and nothing else."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {} {}").format(
            sql.Identifier(column.name), sql.SQL(column.type), sql.SQL("null" if column.nullable else "not null")
        )
        for column in contract.columns
    )
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(sql.SQL("create table {} ({})").format(sql.Identifier(PLAIN_TABLE), columns))


def checkpoint(conninfo: str) -> None:
    """Let no way write what the one before left; without the right to it, say so and go on."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        try:
            conn.execute("checkpoint")
        except psycopg.errors.InsufficientPrivilege:
            print("no right to checkpoint (role pg_checkpoint): ratios vary more", file=sys.stderr)


def count_rows(conninfo: str, table: str) -> int:
    """Rows of a table, 0 where there is none."""
    with psycopg.connect(conninfo) as conn:
        if conn.execute("select to_regclass(%s)", [table]).fetchone()[0] is None:
            return 0
        return conn.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))).fetchone()[0]
