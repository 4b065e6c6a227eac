"""Whether it was the connection to the warehouse that failed, by what is said of it."""

from __future__ import annotations

# What libpq says of a connection that is gone, and psycopg of what is asked of it then.
SIGNS = (
    "could not connect",
    "connection refused",
    "server closed the connection",
    "connection already closed",
    "terminating connection",
    "the database system is",  # starting up, shutting down, in recovery mode
    "could not translate host name",
    "ssl syscall error: eof detected",
    "ssl connection has been closed unexpectedly",
    "connection reset by peer",
    "timeout expired",
    "no route to host",
)


def is_lost_connection(message: str) -> bool:
    """Whether an error of dbt is that the warehouse could not be reached."""
    return any(sign in message.lower() for sign in SIGNS)
