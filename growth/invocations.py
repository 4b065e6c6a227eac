"""Write down which dbt command a task gave, so that a failed task leads to its models, checks and loads.

Target: ``mart.dbt_invocations``, one row per command (docs/runbooks/failed_task.md).
"""

from __future__ import annotations

import psycopg

from growth.dbt import DbtResult
from growth.operations import KEPT_DAYS
from growth.settings import Warehouse

INSERT = """
insert into mart.dbt_invocations (invocation_id, run_id, task_id, status, node_count, failed_nodes, started_at)
values (%s, %s, %s, %s, %s, %s, %s)
on conflict (invocation_id) do nothing
"""


def record(warehouse: Warehouse, run_id: str, task_id: str, result: DbtResult) -> None:
    """Write down one command, unless dbt had nothing to do or no connection; drop what is old.

    Raises:
        psycopg.OperationalError: connection lost.
    """
    if not result.invocation_id or result.lost_connection:
        return
    failed = [failure.name for failure in result.failed]
    status = "success" if result.succeeded else "failed"
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        conn.execute("delete from mart.dbt_invocations where finished_at < now() - %s * interval '1 day'", [KEPT_DAYS])
        conn.execute(
            INSERT, [result.invocation_id, run_id, task_id, status, result.node_count, failed, result.started_at]
        )


def describe(run_id: str, task_id: str, result: DbtResult) -> str:
    """One line of key=value pairs for the task's log."""
    status = "success" if result.succeeded else "failed"
    return f"run_id={run_id} task_id={task_id} dbt_invocation_id={result.invocation_id or '-'} status={status}"
