"""What the DAGs tell people, and when: a task that failed for good, a run that is late, checks that warned.

An alert never changes what becomes of a task or a run. The work is done by ``growth.alerts`` (see steps.py).
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback, get_current_context, task
from airflow.sdk.bases.notifier import BaseNotifier

from growth.alerts.settings import late_hours
from growth_tasks.steps import (
    DBT_QUEUE,
    IS_TEST_RUN,
    MARTS,
    RETRY_LOST_CONNECTIONS,
    ConnectionLost,
    fail_for_good,
    warehouse,
)

log = logging.getLogger(__name__)

# A task tells while its run is being marked as failed.
TASK_TELLS_SECONDS = 10.0


class TellFailure(BaseNotifier):
    """``on_failure_callback`` of a task: Airflow calls it once, in the task's process, when no try is left."""

    def notify(self, context: Any) -> None:
        """Send the alert; what goes wrong with that is logged."""
        from growth.alerts import ledger
        from growth.alerts.causes import TaskFailure, run_scope, task_failed
        from growth.alerts.quality import failed_checks
        from growth.alerts.sending import send

        ti, error = context["ti"], context.get("exception")
        if not ti.task.is_teardown:  # the report, which makes no run red; another task may yet
            ledger.is_first(warehouse(), run_scope(ti.dag_id), _attempt(context, ti.run_id))  # see tell_red_run
        failure = TaskFailure(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            task_id=ti.task_id,
            label=_label(ti),
            error=str(error or "It was given up: see the task's log."),
            is_outage=_is_outage(error),
        )
        send(warehouse(), task_failed(failure, failed_checks(warehouse(), ti.run_id, ti.task_id)))


def forget_failure(context: Any) -> None:
    """``on_success_callback`` of a task: should it fail again, that is news."""
    from growth.alerts import ledger
    from growth.alerts.causes import late_scope, task_scope

    ti = context["ti"]
    scopes = [task_scope(ti.dag_id, ti.task_id, _label(ti))]
    if MARTS in ti.task.outlets:  # published: not late any more
        scopes.append(late_scope(ti.dag_id))
    ledger.forget(warehouse(), scopes)


# for default_args of a DAG: of its tasks
TELL = {
    **RETRY_LOST_CONNECTIONS,
    "queue": DBT_QUEUE,
    "on_failure_callback": [TellFailure()],
    "on_success_callback": [forget_failure],
}


def tell_red_run(context: Any) -> None:
    """``on_failure_callback`` of a DAG, in the DAG processor: tell of a red run where no task did.

    Airflow does not ask a task whose process was killed to tell anything.
    """
    from growth.alerts import ledger
    from growth.alerts.causes import run_failed, run_scope
    from growth.alerts.sending import send

    dag_id, ti = context["dag"].dag_id, context.get("ti")
    time.sleep(TASK_TELLS_SECONDS)
    if ledger.is_first(warehouse(), run_scope(dag_id), _attempt(context, context["run_id"])):
        send(warehouse(), run_failed(dag_id, context["run_id"], ti.task_id if ti else "", _label(ti) if ti else ""))


def late_alert() -> DeadlineAlert | None:
    """Tell of a run that has not ended in time after it was queued, however long it waits there.

    None in ``airflow dags test``: Airflow 3.3.2 cannot end a run with a deadline there (it looks the deadline up by its
    definition, as if that were an id), and no scheduler watches such a run.
    """
    if IS_TEST_RUN:
        return None
    due = timedelta(hours=late_hours())
    return DeadlineAlert(DeadlineReference.DAGRUN_QUEUED_AT, due, SyncCallback(tell_late), "late")


# for a DAG itself; a killed `dags test` has nobody left who could tell
TELL_RUN = {} if IS_TEST_RUN else {"on_failure_callback": [tell_red_run]}


def tell_late(context: dict[str, Any]) -> None:
    """Callback of a missed deadline; the scheduler runs it in a process of its own."""
    from growth.alerts.causes import run_late
    from growth.alerts.sending import send

    run = context["dag_run"]
    if run["state"] not in ("queued", "running"):  # Airflow asks for failed runs too: those were told
        log.info("The run %s has ended already: %s", run["dag_run_id"], run["state"])
        return
    if run["run_type"] == "backfill":  # they wait for one another; should one hang, the next scheduled run is late
        log.info("The run %s of a backfill may take as long as it takes", run["dag_run_id"])
        return
    send(warehouse(), run_late(run["dag_id"], run["dag_run_id"], context["deadline"]["deadline_time"]))


@task
@fail_for_good
def tell_late_feeds() -> None:
    """Judge every feed against the clock, and tell which are late; a late feed fails nothing."""
    from growth.alerts import quality

    for check in quality.tell_late_feeds(warehouse(), get_current_context()["run_id"]):
        log.warning("%s: %s", check.name, "; ".join(check.examples))


@task
@fail_for_good
def tell_warnings() -> None:
    """Tell which checks of the gates warned; a warning fails nothing."""
    from growth.alerts import quality

    for check in quality.tell_warnings(warehouse(), get_current_context()["run_id"]):
        log.warning("%s warned: %s failing rows", check.name, check.row_count)


def _attempt(context: Any, run_id: str) -> str:
    """The run, as often as its tasks were cleared: what was told of it before says nothing of how it ends now."""
    cleared = getattr(context.get("dag_run"), "clear_number", None)
    return f"{run_id} cleared {cleared} times" if cleared else run_id


def _label(ti: Any) -> str:
    """Which of a mapped task's instances it is, such as its feed."""
    index = getattr(ti, "map_index", None)
    return "" if index is None or index < 0 else getattr(ti, "rendered_map_index", None) or str(index)


def _is_outage(error: BaseException | None) -> bool:
    import psycopg

    from ingest.errors import WarehouseUnreachable

    if isinstance(error, psycopg.OperationalError):  # also a full disk, or a lock: those have a code of another class
        return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))
    return isinstance(error, (ConnectionLost, WarehouseUnreachable))
