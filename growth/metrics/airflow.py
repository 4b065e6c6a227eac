"""Airflow's heartbeats, runs, tasks and pools, read from its metadata database.

Read there, as Airflow's own health page does, and not sent by Airflow's processes: nothing is lost when the exporter or
a process restarts, a failure keeps standing until a success, and monitoring can neither slow a task nor fail it.
The role that reads may see the columns named in ``READABLE`` and no other: no connection, variable, param or log.
"""

from __future__ import annotations

import psycopg
from psycopg import sql

from growth.metrics.facts import Facts
from growth.roles import make_role

READER = "analyst"
READABLE = {
    "job": ("job_type", "state", "latest_heartbeat"),
    "dag_run": ("dag_id", "run_id", "run_type", "state", "queued_at", "start_date", "end_date"),
    "task_instance": (
        *("dag_id", "task_id", "run_id", "map_index", "state", "start_date", "end_date", "pool", "pool_slots"),
    ),
    "slot_pool": ("pool", "slots"),
    "import_error": ("id",),
}

HEARTBEATS = Facts(
    "airflow",
    ("component",),
    {"heartbeat_timestamp_seconds": "Last sign of life of the component."},
    """
    select
        case job_type
            when 'SchedulerJob' then 'scheduler' when 'TriggererJob' then 'triggerer' else 'dag_processor'
        end as component,
        extract(epoch from max(latest_heartbeat)) as heartbeat_timestamp_seconds
    from job
    where job_type in ('SchedulerJob', 'TriggererJob', 'DagProcessorJob')
    group by job_type
    """,
)
RUNS = Facts(
    "airflow_dag_run",
    ("dag_id",),
    {
        "failures_in_a_row": "Runs that failed since the last one that succeeded; backfills do not count.",
        "last_success_timestamp_seconds": "When a run succeeded last.",
        "last_duration_seconds": "How long the last run that ended took.",
        "active_since_timestamp_seconds": "When the oldest run that has not ended was queued; backfills do not count.",
        "active": "Runs that are queued or running, backfills included.",
        "succeeded_total": "Runs that succeeded.",
        "failed_total": "Runs that failed.",
    },
    """
    with runs as (
        select
            dag_id,
            state,
            queued_at,
            start_date,
            end_date,
            max(end_date) filter (where state = 'success') over (partition by dag_id) as last_success_at,
            run_type <> 'backfill' as is_counted
        from dag_run
    )

    select
        dag_id,
        count(*) filter (
            where state = 'failed' and is_counted and end_date > coalesce(last_success_at, '-infinity')
        ) as failures_in_a_row,
        extract(epoch from max(last_success_at)) as last_success_timestamp_seconds,
        extract(epoch from (
            array_agg(end_date - start_date order by end_date desc)
            filter (where state in ('success', 'failed') and end_date is not null)
        )[1]) as last_duration_seconds,
        extract(epoch from min(coalesce(queued_at, start_date)) filter (
            where state in ('queued', 'running') and is_counted
        )) as active_since_timestamp_seconds,
        count(*) filter (where state in ('queued', 'running')) as active,
        count(*) filter (where state = 'success') as succeeded_total,
        count(*) filter (where state = 'failed') as failed_total
    from runs
    group by dag_id
    """,
)
TASKS = Facts(
    "airflow_task",
    ("dag_id", "task_id"),
    {
        "failures_in_a_row": "Successive runs, of those in which the task ended, up to the last in which it failed.",
        "last_duration_seconds": "How long it took in the last run in which it ended, all mapped instances together.",
    },
    """
    with outcomes as (
        select
            dag_id,
            task_id,
            run_id,
            bool_or(state = 'failed') as is_failed,
            max(end_date) as ended_at,
            extract(epoch from max(end_date) - min(start_date)) as seconds
        from task_instance
        where state in ('success', 'failed') and end_date > now() - interval '30 days'
        group by dag_id, task_id, run_id
    ),

    runs as (
        select *, row_number() over (partition by dag_id, task_id order by ended_at desc) as runs_ago from outcomes
    )

    select
        dag_id,
        task_id,
        coalesce(min(runs_ago) filter (where not is_failed), max(runs_ago) + 1) - 1 as failures_in_a_row,
        max(seconds) filter (where runs_ago = 1) as last_duration_seconds
    from runs
    group by dag_id, task_id
    """,
)
TASK_STATES = Facts(
    "airflow",
    ("state",),
    {"task_instances": "Task instances that have not ended, by state."},
    """
    select state, count(task_id) as task_instances
    from unnest(array['scheduled', 'queued', 'running', 'deferred', 'up_for_retry', 'up_for_reschedule'])
        as states (state)
    left join task_instance using (state)
    group by state
    """,
)
POOLS = Facts(
    "airflow_pool",
    ("pool",),
    {"slots": "Slots of the pool.", "used_slots": "Slots that queued and running tasks hold."},
    """
    select slot_pool.pool, slots, coalesce(sum(pool_slots), 0) as used_slots
    from slot_pool
    left join task_instance on slot_pool.pool = task_instance.pool and state in ('queued', 'running')
    group by slot_pool.pool, slots
    """,
)
IMPORT_ERRORS = Facts(
    "airflow",
    (),
    {"import_errors": "DAG files that cannot be imported."},
    "select count(*) as import_errors from import_error",
)
AIRFLOW = (HEARTBEATS, RUNS, TASKS, TASK_STATES, POOLS, IMPORT_ERRORS)


def admit_reader(conn: psycopg.Connection, password: str) -> None:
    """Let the role that reads metrics into the metadata database, as its owner; it may run again at any time."""
    role = sql.Identifier(READER)
    make_role(conn, READER, password)
    for table, columns in READABLE.items():
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        conn.execute(sql.SQL("grant select ({}) on {} to {}").format(names, sql.Identifier(table), role))
