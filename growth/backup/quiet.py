"""Keep runs and data quality checks from starting while a backup is taken; wait for those that are going on.

They make and drop tables, which fails beside pg_dump, or fails pg_dump. Readers and single loads go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import psycopg

from growth.backup.airflow_state import AirflowState
from growth.backup.errors import BackupFailed
from growth.settings import Warehouse
from growth.turns import LOCK
from ingest import cold

POLL_SECONDS = 5.0
PATIENCE_SECONDS = 4 * 3600.0


@contextmanager
def quiet(warehouse: Warehouse, airflow: AirflowState | None, say: Callable[[str], None]) -> Iterator[None]:
    """Hold what each run takes first (``growth.turns``) until the end of the block.

    Raises:
        BackupFailed: a run went on for hours.
        EmbeddedError: `growth run`, in a process of its own, went on for hours.
    """

    def tell() -> None:
        say("Waiting for the end of `growth run` ...")

    nobody_else = airflow.no_run_here(PATIENCE_SECONDS, tell) if airflow else nullcontext(False)
    with nobody_else as is_over, psycopg.connect(warehouse.conninfo()) as conn:
        deadline, told = time.monotonic() + PATIENCE_SECONDS, False
        while conn.execute("select to_regclass('dwh._turn')").fetchone() != (None,):
            # keeps out who takes the turn, and nobody who sets up the warehouse before a load
            conn.execute("lock table dwh._turn in row exclusive mode")
            row = conn.execute("select run_id from dwh._turn").fetchone()
            if not row or is_over or airflow is None or not airflow.is_going_on(row[0]):
                break
            conn.rollback()
            if time.monotonic() > deadline:
                raise BackupFailed(f"The run {row[0]} is still going on: no backup was made. Try again when it ended.")
            if not told:
                say(f"Waiting for the end of the run {row[0]} ...")
                told = True
            time.sleep(POLL_SECONDS)
        conn.execute(f"select pg_advisory_xact_lock_shared({LOCK})".encode())  # a command that builds models itself
        conn.execute("select pg_advisory_xact_lock(hashtext('growth.check_freshness'))")
        conn.execute(f"select pg_advisory_xact_lock({cold.LOCK})".encode())  # files of old loads come and go
        yield
