"""What `growth run` tells of a run, from what Airflow prints."""

from __future__ import annotations

import json
from pathlib import Path

from embedded import scheduled
from embedded.progress import Progress

STAMP = "2024-03-01T05:02:19.226310Z"
BEGIN = "[DAG TEST] starting task_id=gate_raw map_index=-1"
END = "[DAG TEST] end task task_id=gate_raw map_index=-1"


def told(*lines: str) -> list[str]:
    said: list[str] = []
    progress = Progress(said.append)
    for line in (BEGIN, *lines, END):
        progress.feed(line)
    return [line.strip() for line in said[2:]]


def test_the_sql_of_a_failed_test_is_whole_also_where_lines_repeat() -> None:
    query = ["with a as (", "select 1", "),", "b as (", "select 1", "),", "select 1"]
    lines = [
        f"{STAMP} [error    ] FAIL check: 1 failing rows.",
        *query[:-1],
        f"{query[-1]} [growth.steps] loc=steps.py:1",
    ]
    assert told(*lines) == ["FAIL check: 1 failing rows.", *query]


def test_an_exception_that_another_one_wraps_is_told_once() -> None:
    lines = [
        f"{STAMP} [error    ] Not retried: only a lost connection is. [growth.steps] loc=steps.py:1",
        *("Traceback (most recent call last):", '  File "x.py", line 1', "ValueError: a.csv is refused:", "line 3"),
        "The above exception was the direct cause of the following exception:",
        *("Traceback (most recent call last):", '  File "x.py", line 2'),
        *("airflow.sdk.exceptions.AirflowFailException: a.csv is refused:", "line 3"),
    ]
    assert told(*lines) == ["ValueError: a.csv is refused:", "line 3"]


def test_a_failed_gate_is_told_whole_and_once() -> None:
    text = ["gate raw failed: a (1 row), b (1 row).", "a (1 row):", "    day 1", "b (1 row):", "    day 1"]
    lines = [
        f"{STAMP} [info     ] FAIL a: 1 failing rows. They are kept: select * from a",
        *("Found by:", "select 1 as a [growth.steps] loc=steps.py:1"),
        *(f"{STAMP} [error    ] {text[0]}", *text[1:-1], f"{text[-1]} [growth.steps] loc=steps.py:2"),
        f"{STAMP} [error    ] Task failed with exception [task] loc=task.py:3",
        *("Traceback (most recent call last):", '  File "x.py", line 1'),
        f"airflow.sdk.exceptions.AirflowFailException: {text[0]}",
    ]
    assert told(*lines) == [line.strip() for line in text]


def test_a_run_by_the_scheduler_tells_the_same(tmp_path: Path) -> None:
    text = ["gate raw failed: a (1 row), b (1 row).", "a (1 row):", "    day 1", "b (1 row):", "    day 1"]
    records = [
        {"level": "info", "event": "FAIL a: 1 failing rows"},
        {"level": "error", "event": "\n".join(text)},
        {
            "level": "error",
            "event": "Task failed with exception",
            "error_detail": [{"exc_value": "two.csv is refused:\nline 3"}, {"exc_value": text[0]}],
        },
    ]
    log = tmp_path / "logs/airflow/dag_id=d/run_id=r/task_id=gate_raw/attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_text("".join(f"{json.dumps(record)}\n" for record in records) + '{"level": "error", "eve')
    assert scheduled.errors(tmp_path, "d", "r", "gate_raw", -1, 1) == [
        *text,
        *("two.csv is refused:", "line 3"),
        f"log: {log}",
    ]


def test_a_skipped_task_says_why() -> None:
    lines = [
        f"{STAMP} [info     ] Skipping task.                 [task] loc=x.py:1 reason='A is absent: `make b` gets it.'",
        f"{STAMP} [info     ] Task instance state updated [airflow.api] loc=x.py:2 new_state=skipped",
    ]
    assert told(*lines) == ["A is absent: `make b` gets it."]
