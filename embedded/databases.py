"""Roles and databases in the embedded server: those of Airflow's metadata, and the warehouse where it is in there."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from embedded.errors import EmbeddedError
from growth.roles import make_role, set_password
from growth.settings import ROLES, Warehouse

ADDRESS = "127.0.0.1"
ADMIN = "embedded_admin"  # its password is random and kept beside the data, so that the owner's may change
METADATA = "airflow"  # role and database of Airflow's metadata


def accepts(metadata_conninfo: str, warehouse: Warehouse | None) -> bool:
    """Whether the owner reaches the warehouse, and Airflow its metadata."""
    try:
        for conninfo in [metadata_conninfo, *([warehouse.conninfo()] if warehouse else [])]:
            psycopg.connect(conninfo, connect_timeout=10).close()
    except psycopg.OperationalError:
        return False
    return True


def make_databases(port: int, secrets: Mapping[str, str], warehouse: Warehouse | None) -> None:
    """Make roles and databases that are absent, and set the passwords to those of now.

    Args:
        port: of the server.
        secrets: passwords of ``ADMIN`` and ``METADATA``.
        warehouse: to be made, too; None where it is on another server.

    Raises:
        EmbeddedError: the server refuses one of them.
    """
    wanted = [(METADATA, secrets[METADATA], METADATA, "nosuperuser")]
    if warehouse:
        wanted.append((warehouse.user, warehouse.passwords[warehouse.user], warehouse.database, "superuser"))
    try:
        with psycopg.connect(
            host=ADDRESS,
            port=port,
            dbname="postgres",
            user=ADMIN,
            password=secrets[ADMIN],
            connect_timeout=10,
            autocommit=True,
        ) as conn:
            for role, password, database, attribute in wanted:
                _make_database(conn, role, password, database, attribute)
            if warehouse:  # `create_roles` makes them; of a server of an older release they have known passwords
                there = {name for (name,) in conn.execute("select rolname from pg_roles")}
                for role in there.intersection(ROLES):
                    set_password(conn, role, warehouse.passwords[role])
    except (psycopg.Error, KeyError) as error:
        raise EmbeddedError(f"cannot prepare the databases of the embedded Postgres: {error}") from error


def _make_database(conn: psycopg.Connection, role: str, password: str, database: str, attribute: str) -> None:
    make_role(conn, role, password, attribute)
    if role == METADATA:  # losing the last moment of a crash is nothing to it, and it commits often
        conn.execute(sql.SQL("alter role {} set synchronous_commit = off").format(sql.Identifier(role)))
    if conn.execute("select from pg_database where datname = %s", [database]).fetchone() is None:
        statement = sql.SQL("create database {} owner {}")
        conn.execute(statement.format(sql.Identifier(database), sql.Identifier(role)))
