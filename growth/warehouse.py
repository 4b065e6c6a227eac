"""Prepare a Postgres for the warehouse: roles, schemas, privileges, the tables that no dbt model makes.

Target: any Postgres 15 or newer whose database exists. Everything here can run again at any time.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg
from psycopg import sql

from growth import people
from growth.alerts import ledger
from growth.metrics.objects import ensure_readable, has_longest_transaction
from growth.operations import ensure_operations
from growth.roles import is_superuser, make_role
from growth.settings import ROLES, Warehouse
from growth.turns import TABLES as TURN
from ingest.contract import Contract
from ingest.ddl import ensure_raw
from ingest.errors import ExpectedError
from ingest.tables import make_indexes

OLDEST_SERVER = 15  # major version
# schema → the role that owns it
SCHEMAS = {
    "raw": "ingest",
    "staging": "transform",
    "dwh": "transform",
    "mart_candidate": "transform",
    "mart": "transform",
}
# what SQL IDEs show of them
DESCRIPTIONS = {
    "raw": "Delivered rows as they came, and the ledger of loads: one table per contract.",
    "staging": "Feeds with clean texts and without copies: views on raw.",
    "dwh": "Facts and dimensions (Kimball) that marts are made of; for analysts who need rows.",
    "mart_candidate": "Marts as they were built last: published once their gates pass.",
    "mart": "Published marts: what readers ask.",
}
# role → the schemas it may read, tables to come included
READERS = {"transform": ("raw",), "analyst": ("dwh", "mart")}
# Only what is missing is granted: a grant writes the catalog's row of a table anew, which fails beside a model that is
# being built.
UNREADABLE = """
select relname from pg_class
where
    relnamespace = %(schema)s::regnamespace
    and relkind in ('r', 'p', 'v', 'm', 'f')
    and not has_table_privilege(%(reader)s, oid, 'select')
order by relname
"""
# What everybody may call unless it is taken away: locks, by which a reader could stall loads, erasures and runs for
# ever; and what stores large objects, for which it takes no right on any schema.
OPEN_FUNCTIONS = """
select format('%I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(pg_proc.oid)),
    proname ~ 'advisory' as is_lock
from pg_proc inner join pg_namespace on pronamespace = pg_namespace.oid
where
    nspname = 'pg_catalog'
    and (
        proname ~ '^pg_(try_)?advisory_(xact_)?lock'
        or proname in ('lo_creat', 'lo_create', 'lo_from_bytea', 'lowrite', 'lo_put', 'lo_import')
    )
    and has_function_privilege('public', pg_proc.oid, 'execute')
"""
# role → what of its errors the server's log leaves out, where we may say so: its messages quote values and statements.
# What goes wrong is told to us, and stands in the ledger, the quarantine or the log of the run.
QUIET = {
    "ingest": {"log_min_messages": "fatal", "log_min_error_statement": "panic"},
    "transform": people.QUIET,
}
# role → how long it may be in the way of others, and wait for others: a session that somebody left open with a
# transaction in it must not hold up every run to come. What waits for whom it should sets lock_timeout itself.
PATIENCE = {
    "analyst": {"idle_in_transaction_session_timeout": "30min"},
    "transform": {"lock_timeout": "1h"},
}


class WarehouseUnusable(ExpectedError):
    """The server cannot hold the warehouse; the text says what to change."""


def initialise(warehouse: Warehouse, contracts: dict[str, Contract]) -> list[str]:
    """Create roles, schemas, privileges and raw tables where they are missing; set passwords and UTC.

    Returns:
        What was changed in raw tables whose contract has changed, a line each.

    Raises:
        WarehouseUnusable: the server is too old, or the owner may not create roles.
        SchemaTooNew: the warehouse was set up by a newer release.
        psycopg.OperationalError: no connection.
    """
    with psycopg.connect(warehouse.conninfo()) as conn:
        # two processes that initialise at once would trip over each other's catalog rows
        conn.execute("select pg_advisory_xact_lock(hashtext('growth init'))")
        if conn.info.server_version // 10000 < OLDEST_SERVER:
            version = conn.info.parameter_status("server_version")
            raise WarehouseUnusable(
                f"Postgres {version} at {warehouse.host} is too old: {OLDEST_SERVER} or newer is needed."
            )
        try:
            create_roles(conn, warehouse)
            _create_schemas(conn)
        except psycopg.errors.InsufficientPrivilege as error:
            raise WarehouseUnusable(
                f"Role {warehouse.user} may not set up the warehouse: {error.diag.message_primary}. "
                "Give it CREATEROLE and make it the owner of the database."
            ) from error
    # As the owner: a changed contract may need to drop views that belong to transform.
    with psycopg.connect(warehouse.conninfo()) as conn:
        changes = ensure_raw(conn, contracts)
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        ensure_operations(conn)
        conn.execute(ledger.TABLE)
        make_indexes(conn, ledger.INDEX)
        conn.execute(TURN)
    with psycopg.connect(warehouse.conninfo()) as conn:
        ensure_readable(conn)  # stays the last step: is_set_up looks for what it makes
    return changes


def is_set_up(warehouse: Warehouse) -> bool:
    """Whether ``initialise`` has ever come to its end here.

    Raises:
        psycopg.OperationalError: no connection.
    """
    with psycopg.connect(warehouse.conninfo()) as conn:
        return has_longest_transaction(conn)


def create_roles(conn: psycopg.Connection, warehouse: Warehouse) -> None:
    """Create the roles where they are missing, set their passwords and what they have of the database as a whole."""
    for role in ROLES:
        make_role(conn, role, warehouse.passwords[role])
        # member of its roles, an owner who is no superuser may give them schemas too
        conn.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
    database = sql.Identifier(warehouse.database)
    if is_superuser(conn):
        _set(conn, database, QUIET)
        _close_functions(conn)
    conn.execute(sql.SQL("alter database {} set timezone = 'UTC'").format(database))
    may_create = conn.execute("select has_database_privilege('transform', current_database(), 'create')").fetchone()
    if may_create != (True,):  # dbt's dev schemas
        conn.execute(sql.SQL("grant create on database {} to transform").format(database))
    conn.execute(sql.SQL("alter role analyst in database {} set search_path = mart, dwh").format(database))
    # of sessions that people open; those of ours have less (Warehouse.conninfo)
    conn.execute(sql.SQL("alter role current_user in database {} set search_path = public").format(database))
    _set(conn, database, PATIENCE)


def _close_functions(conn: psycopg.Connection) -> None:
    """Leave the locks to those who load and build, and large objects to nobody; in this database only."""
    for function, is_lock in conn.execute(OPEN_FUNCTIONS).fetchall():
        conn.execute(f"revoke execute on function {function} from public".encode())
        if is_lock:
            conn.execute(f"grant execute on function {function} to ingest, transform".encode())


def _set(conn: psycopg.Connection, database: sql.Identifier, settings_of: dict[str, dict[str, str]]) -> None:
    for role, settings in settings_of.items():
        for name, value in settings.items():
            statement = sql.SQL("alter role {} in database {} set {} = {}")
            conn.execute(statement.format(sql.Identifier(role), database, sql.Identifier(name), sql.Literal(value)))


def _create_schemas(conn: psycopg.Connection) -> None:
    for schema, owner in SCHEMAS.items():
        conn.execute(
            sql.SQL("create schema if not exists {} authorization {}").format(
                sql.Identifier(schema), sql.Identifier(owner)
            )
        )
        text = sql.SQL("comment on schema {} is {}")
        conn.execute(text.format(sql.Identifier(schema), sql.Literal(DESCRIPTIONS[schema])))
    for reader, schemas in READERS.items():
        for schema in schemas:
            names = {
                "schema": sql.Identifier(schema),
                "owner": sql.Identifier(SCHEMAS[schema]),
                "reader": sql.Identifier(reader),
            }
            conn.execute(
                sql.SQL(
                    "alter default privileges for role {owner} in schema {schema} grant select on tables to {reader}"
                ).format(**names)
            )
            if conn.execute("select has_schema_privilege(%s, %s, 'usage')", [reader, schema]).fetchone() != (True,):
                conn.execute(sql.SQL("grant usage on schema {schema} to {reader}").format(**names))
            for (table,) in conn.execute(UNREADABLE, {"reader": reader, "schema": schema}).fetchall():
                # a model that is being built makes and drops tables of its own
                with suppress(psycopg.errors.UndefinedTable), conn.transaction():
                    grant = sql.SQL("grant select on {}.{} to {}")
                    conn.execute(grant.format(names["schema"], sql.Identifier(table), names["reader"]))
