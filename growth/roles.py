"""Roles of a server and their passwords, as it keeps them."""

from __future__ import annotations

import psycopg
from psycopg import sql


def make_role(conn: psycopg.Connection, role: str, password: str, attribute: str = "") -> None:
    """Make a role that may log in, or give the one that there is password and attribute of now."""
    known = conn.execute("select from pg_roles where rolname = %s", [role]).fetchone() is not None
    conn.execute(
        sql.SQL("{} role {} login {} password {}").format(
            sql.SQL("alter" if known else "create"),
            sql.Identifier(role),
            sql.SQL(attribute),
            _hashed(conn, role, password),
        )
    )


def set_password(conn: psycopg.Connection, role: str, password: str) -> None:
    """Give a role another password."""
    statement = sql.SQL("alter role {} password {}")
    conn.execute(statement.format(sql.Identifier(role), _hashed(conn, role, password)))


def is_superuser(conn: psycopg.Connection) -> bool:
    """Whether the role of the session may do everything."""
    return conn.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() == (True,)


def _hashed(conn: psycopg.Connection, role: str, password: str) -> sql.Literal:
    """Hashed here, so that no log of the server can hold the password."""
    return sql.Literal(conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode())
