"""Run a DAG once and wait: in a process of its own, or by the scheduler where the stack of this home is up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psycopg

from embedded.airflow_main import command_line
from embedded.errors import last_lines
from embedded.files import open_log
from embedded.metadata import (
    NO_LOGINS,
    airflow_environment,
    commands_to_migrate,
    fail_abandoned_runs,
    mark_migrated,
)
from embedded.progress import Progress, say
from embedded.scheduled import run_scheduled
from embedded.server import EmbeddedPostgres
from embedded.stack import AirflowStack, run_lock
from growth.settings import GROWTH_DAILY, PROJECT_ROOT, Warehouse

INTERRUPTED = 130
END_SECONDS = 15.0


def run_dag(
    home: Path,
    warehouse: Warehouse,
    conf: Mapping[str, Any],
    log_path: Path,
    dag_id: str = GROWTH_DAILY,
    project: Path = PROJECT_ROOT,
) -> int:
    """Run a DAG once, telling its progress on standard error; all output goes to a log file.

    Args:
        home: the home folder; its embedded server is started for Airflow's metadata.
        warehouse: what the DAG writes to.
        conf: the run's params.
        log_path: the file to write.
        dag_id: which DAG of the project.
        project: the repository, with ``dags/``.

    Returns:
        0 where the run succeeded, 130 where it was interrupted, else another number.

    Raises:
        EmbeddedError: it could not be started, or another run of this home is going on.
    """
    EmbeddedPostgres(home).start()
    stack = AirflowStack(home, warehouse, project)
    if stack.is_running():  # its scheduler would also take up the run of a process of our own
        return run_scheduled(stack, conf, log_path, dag_id)
    with run_lock(home) as lock:
        fail_abandoned_runs(home)
        code = _run_here(home, airflow_environment(home, warehouse, project), conf, log_path, dag_id, lock)
        if code != 0:
            EmbeddedPostgres(home).start()  # where it went down, why is said by its start
            fail_abandoned_runs(home)
    return code


def _run_here(
    home: Path, environment: dict[str, str], conf: Mapping[str, Any], log_path: Path, dag_id: str, lock: int
) -> int:
    migration = commands_to_migrate(home, with_login=False)
    words = command_line(*migration, ["dags", "test", dag_id, "--conf", json.dumps(dict(conf))])
    say(f"Running the DAG {dag_id}; log: {log_path}")
    progress = Progress(say, _mapped_name(home, dag_id))
    with os.fdopen(open_log(log_path), "w") as log, _terminable():
        process = subprocess.Popen(
            words,
            # a run without users needs none of the login manager's tables: that saves seconds
            env={**environment, "AIRFLOW__CORE__AUTH_MANAGER": NO_LOGINS},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
            pass_fds=[lock],  # so that the lock holds as long as the run goes on, even should this process be killed
        )
        assert process.stdout is not None
        try:
            _follow(process.stdout, log, progress)
            code = process.wait()
        except KeyboardInterrupt:
            say("Interrupted: stopping the run")
            code = INTERRUPTED
        finally:
            _stop_group(process)
    if migration and (code == 0 or progress.started_count):
        mark_migrated(home, with_login=False)
    if code not in (0, INTERRUPTED):
        failed = ", ".join(progress.failed) or "before its first task" * (not progress.started_count)
        say(f"The run failed{': ' if failed else ''}{failed}. The whole log: {log_path}")
        if not progress.started_count:
            say(last_lines(log_path))
    return code if code >= 0 else 128 - code


def _follow(output: IO[str], log: IO[str], progress: Progress) -> None:
    for line in output:
        log.write(line)
        log.flush()
        progress.feed(line)


def _stop_group(process: subprocess.Popen[str]) -> None:
    """End whatever of the run still runs: asked first, then made to."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        try:
            os.killpg(process.pid, number)
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            continue
    if process.stdout:
        process.stdout.close()


@contextmanager
def _terminable() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that it does not leave the run going on alone."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _mapped_name(home: Path, dag_id: str) -> Any:
    """Names a mapped task by its label in Airflow, such as its feed, else by its index."""

    def name(task: str, index: int, run: str) -> str:
        try:
            with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo(), connect_timeout=5) as conn:
                row = conn.execute(
                    "select rendered_map_index from task_instance "
                    "where dag_id = %s and task_id = %s and map_index = %s and run_id = %s",
                    [dag_id, task, index, run],
                ).fetchone()
        except psycopg.Error:
            row = None
        return f"{task}[{(row and row[0]) or index}]"

    return name
