"""Raw stands still while models are built of it: what changes its rows waits, so that nothing is built unjudged.

A gate judges what is there when it looks. Models read raw for minutes after it, whole days of it, so a file that
commits meanwhile would be built, and published, by a run whose gates never saw it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_LOCK = "hashtextextended('growth.raw', 0)"

logger = logging.getLogger(__name__)


@contextmanager
def standstill(conninfo: str) -> Iterator[None]:
    """Let no load begin until the end of the block; wait for the end of those under way."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        if conn.execute(f"select pg_try_advisory_lock({_LOCK})".encode()).fetchone() == (False,):
            logger.info("Waiting for the end of loads that are under way.")
            conn.execute("set lock_timeout = 0")  # a large file takes its hours
            conn.execute(f"select pg_advisory_lock({_LOCK})".encode())
        yield


def wait_for_models(conn: psycopg.Connection, source_file: str) -> None:
    """Let no standstill begin until this transaction ends; wait for the end of one, and say so."""
    if conn.execute(f"select pg_try_advisory_xact_lock_shared({_LOCK})".encode()).fetchone() == (False,):
        logger.warning("%s waits for the models that are being built.", source_file)
        conn.execute(f"select pg_advisory_xact_lock_shared({_LOCK})".encode())
