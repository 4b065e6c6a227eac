"""Raw stands still while models are built of it: what changes its rows waits, so that nothing is built unjudged.

A gate judges what is there when it looks. Models read raw for minutes after it, whole days of it, so a file that
commits meanwhile would be built, and published, by a run whose gates never saw it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

_LOCK = "hashtextextended('growth.raw', 0)"
_POLL_SECONDS = 0.5
# It is idle for as long as models take: nobody may take it for dead meanwhile, nor the server keep its lock when it is.
_SETTINGS = (
    "set lock_timeout = 0; set tcp_keepalives_idle = 60; set tcp_keepalives_interval = 10; set tcp_keepalives_count = 6"
)

logger = logging.getLogger(__name__)


@contextmanager
def standstill(conninfo: str) -> Iterator[None]:
    """Let no load begin until the end of the block; wait for the end of those under way.

    Raises:
        psycopg.OperationalError: no connection; or it was lost meanwhile, and loads may have begun.
    """
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(_SETTINGS)
        if conn.execute(f"select pg_try_advisory_lock({_LOCK})".encode()).fetchone() == (False,):
            logger.info("Waiting for the end of loads that are under way.")
            conn.execute(f"select pg_advisory_lock({_LOCK})".encode())
        yield
        conn.execute("select")


def hold_off_standstill(conn: psycopg.Connection, source_file: str, check: Callable[[], None] = lambda: None) -> None:
    """Let no standstill begin until this transaction ends; wait for the end of one, and say so.

    Args:
        conn: in a transaction.
        source_file: what waits.
        check: called now and then; what it raises ends the waiting.
    """
    has_told = False
    while conn.execute(f"select pg_try_advisory_xact_lock_shared({_LOCK})".encode()).fetchone() == (False,):
        if not has_told:
            logger.warning("%s waits for a run that builds models, or is about to.", source_file)
            has_told = True
        check()
        time.sleep(_POLL_SECONDS)
