"""Run a DAG by the scheduler of a running stack and follow it in the metadata database."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from embedded.airflow_main import command_line
from embedded.errors import EmbeddedError
from embedded.files import make_folder
from embedded.metadata import ENDED
from embedded.progress import STATE_WORDS, say
from embedded.server import EmbeddedPostgres
from embedded.stack import AirflowStack

POLL_SECONDS = 1.0
WAIT_TOLD_SECONDS = 5.0


def run_scheduled(stack: AirflowStack, conf: Mapping[str, Any], log_path: Path, dag_id: str) -> int:
    """Trigger a run and wait for its end; Ctrl-C stops the waiting, not the run.

    Returns:
        0 where the run succeeded, 1 where it failed.

    Raises:
        EmbeddedError: it could not be triggered, or the stack stopped meanwhile.
    """
    run_id = f"growth_run__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"
    words = command_line(["dags", "trigger", dag_id, "--run-id", run_id, "--conf", json.dumps(dict(conf))])
    answer = subprocess.run(words, env=stack.environment(), capture_output=True, text=True, check=False)
    make_folder(log_path.parent)
    log_path.write_text(answer.stdout + answer.stderr)
    if answer.returncode != 0:
        raise EmbeddedError(f"the run could not be triggered: {(answer.stderr or answer.stdout).strip()[-2000:]}")
    say(f"Running the DAG {dag_id} in Airflow: {stack.url}/dags/{dag_id}/runs/{run_id}")
    with psycopg.connect(EmbeddedPostgres(stack.home).metadata_conninfo(), autocommit=True) as conn:
        state = _follow(conn, stack, dag_id, run_id)
    return 0 if state == "success" else 1


def _follow(conn: psycopg.Connection, stack: AirflowStack, dag_id: str, run_id: str) -> str:
    told: set[tuple[object, ...]] = set()
    patience = time.monotonic() + WAIT_TOLD_SECONDS
    query = """
        select task_id, map_index, rendered_map_index, state, extract(epoch from end_date - start_date), try_number
        from task_instance where dag_id = %s and run_id = %s and state is not null
        order by end_date nulls last, start_date
    """
    while True:
        run = conn.execute(
            "select run.state, dag.is_paused from dag_run as run join dag using (dag_id) "
            "where run.dag_id = %s and run.run_id = %s",
            [dag_id, run_id],
        ).fetchone()
        if run is None:
            raise EmbeddedError(f"the run {run_id} was deleted")
        for task, index, rendered, state, seconds, attempt in conn.execute(query, [dag_id, run_id]).fetchall():
            if state not in (*ENDED, "running", "up_for_retry") or (task, index, state, attempt) in told:
                continue
            told.add((task, index, state, attempt))
            label = f"{task}[{rendered or index}]" if index >= 0 else task
            if state == "running":
                say(f"  {label} ...") if index < 0 else None
                continue
            say(f"  {label}: {STATE_WORDS.get(state, state)}, {float(seconds or 0):.1f} s")
            if state == "failed":
                for line in errors(stack.home, dag_id, run_id, task, index, attempt):
                    say(f"      {line}")
        if run[0] in ("success", "failed"):
            return str(run[0])
        if run[0] == "queued" and time.monotonic() > patience:
            patience = float("inf")
            say("  waiting: another run of this DAG is going on")
        if run[1]:
            raise EmbeddedError(f"the DAG {dag_id} is paused: unpause it at {stack.url}, the run then starts")
        if not stack.is_running():
            raise EmbeddedError("Airflow was stopped during the run")
        time.sleep(POLL_SECONDS)


def errors(home: Path, dag_id: str, run_id: str, task: str, index: int, attempt: int) -> list[str]:
    """What a failed task's log says at level error, and where the log is."""
    parts = [f"dag_id={dag_id}", f"run_id={run_id}", f"task_id={task}", *([f"map_index={index}"] if index >= 0 else [])]
    path = (home / "logs" / "airflow").joinpath(*parts, f"attempt={attempt}.log")
    texts: list[str] = []
    try:
        written = path.read_text(errors="replace")
    except OSError:
        written = ""
    for record in map(_record, written.splitlines()):
        if record.get("level") in ("error", "critical"):
            details = [line for each in record.get("error_detail") or [] for line in _lines(each.get("exc_value"))]
            if details:  # of an exception, what was said before or is wrapped by another one is said once
                texts += [line for line in dict.fromkeys(details) if line not in texts]
            else:
                texts += _lines(record.get("event", ""))
    return [*texts, f"log: {path}"]


def _record(line: str) -> dict[str, Any]:
    """What a line of a log says, where it is JSON and whole: a task that was killed may leave half a line."""
    try:
        return json.loads(line) if line.startswith("{") else {}
    except ValueError:
        return {}


def _lines(text: object) -> list[str]:
    return str(text).splitlines()
