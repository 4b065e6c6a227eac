"""One run at a time: incremental models, candidates and the gates between them assume one writer.

``max_active_runs`` of the DAG does not see to that: Airflow counts the runs of a backfill apart from all others, and
lets ten of them run at once. So each run takes the turn before its first step, and waits while another one has it.

Target: ``dwh._turn``, one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress

import psycopg

from growth.settings import Warehouse
from ingest.errors import ExpectedError

TABLES = """
create table if not exists dwh._turn (
    is_only_row boolean primary key default true check (is_only_row),
    run_id text not null,
    taken_at timestamptz not null default now()
);
comment on table dwh._turn is 'The run of growth_daily that may write; it has ended where Airflow says so.';
create table if not exists dwh._seen_loads (
    is_only_row boolean primary key default true check (is_only_row),
    run_id text not null,
    load_ids bigint [] not null
);
comment on table dwh._seen_loads is 'The loads that gate raw of a run began with: later ones are judged again.';
"""

# Held by a command of growth for as long as it builds models itself.
LOCK = "hashtext('growth.models')"
COMMAND = "of a command, such as growth erase"
BUILDING = """
select exists (
    select from pg_stat_activity
    where datname = current_database() and application_name = 'dbt' and pid <> pg_backend_pid()
)
"""


class TurnTaken(ExpectedError):
    """Somebody else builds models."""


@contextmanager
def no_run_beside(warehouse: Warehouse) -> Iterator[None]:
    """No run beside a command: neither one of this home, nor of another Airflow on the same warehouse.

    Raises:
        EmbeddedError: `growth run` is going on.
        TurnTaken: a run of Airflow is going on, or something else builds models.
    """
    from growth.backup import airflow_state

    airflow = airflow_state.find()
    with airflow.no_run_here() if airflow else nullcontext(False) as is_over, commands_turn(warehouse):
        run_id = turn_of(warehouse)
        # between two tasks, or while files load, dbt is not at work
        if airflow and airflow.is_there() and not is_over and run_id and airflow.is_going_on(run_id):
            raise TurnTaken(f"The run {run_id} is going on: wait for its end.")
        yield


def turn_of(warehouse: Warehouse) -> str | None:
    """The run that took the turn last."""
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        row = conn.execute("select run_id from dwh._turn").fetchone()
    return str(row[0]) if row else None


@contextmanager
def commands_turn(warehouse: Warehouse) -> Iterator[None]:
    """Keep runs from beginning while a command builds models itself; they wait as for another run.

    Raises:
        TurnTaken: another command has the turn, or dbt is at work: a run is going on.
    """
    with psycopg.connect(warehouse.conninfo("transform"), autocommit=True) as conn:
        is_free = conn.execute(f"select pg_try_advisory_lock({LOCK})".encode()).fetchone() == (True,)
        try:
            if not is_free or _is_held(conn) or conn.execute(BUILDING).fetchone() == (True,):
                raise TurnTaken("A run is going on, or a command that wants no run beside it: wait for its end.")
            yield
        finally:
            if is_free:  # whoever comes next finds the turn free: the server ends a session a moment after it is closed
                with suppress(psycopg.OperationalError):
                    conn.execute(f"select pg_advisory_unlock({LOCK})".encode())


def _is_held(conn: psycopg.Connection) -> bool:
    """Whether somebody keeps runs from taking the turn, who wants no models built either."""
    try:
        with conn.transaction():
            conn.execute("lock table dwh._turn in share row exclusive mode nowait")
    except psycopg.errors.LockNotAvailable:
        return True
    return False


def take_turn(warehouse: Warehouse, run_id: str, is_going_on: Callable[[str], bool]) -> str | None:
    """Take the turn, unless a run that is going on has it.

    A turn is not given back: a killed run could not do so. Whoever comes next asks whether it is over.

    Args:
        warehouse: has been initialised.
        run_id: who takes it; may have it already.
        is_going_on: whether another run, by its id, has not ended.

    Returns:
        The run to wait for; None where the turn was taken.
    """
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        if conn.execute(f"select pg_try_advisory_xact_lock_shared({LOCK})".encode()).fetchone() == (False,):
            return COMMAND
        conn.execute("set local lock_timeout = 0")  # a backup keeps runs out for as long as it takes
        conn.execute("lock table dwh._turn in share row exclusive mode")
        row = conn.execute("select run_id from dwh._turn").fetchone()
        if row and row[0] != run_id and is_going_on(row[0]):
            return str(row[0])
        conn.execute(
            "insert into dwh._turn (run_id) values (%s)"
            " on conflict (is_only_row) do update set run_id = excluded.run_id, taken_at = now()",
            [run_id],
        )
    return None
