"""Passwords of the server's roles, as it keeps them."""

from __future__ import annotations

import psycopg
from psycopg import sql


def hashed(conn: psycopg.Connection, role: str, password: str) -> sql.Literal:
    """For ``create role`` or ``alter role``: hashed here, so that no log of the server can hold the password."""
    return sql.Literal(conn.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode())
