"""Logs of runs go when they are old; what still grows, and what is no run's, stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from growth.run_logs import KEPT_DAYS, delete_old


def test_only_logs_of_runs_that_are_long_over_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    logs, day = tmp_path / "logs", 24 * 3600
    ages = {
        "run-20240101T040000.log": KEPT_DAYS + 1,
        "run-20240301T040000.log": KEPT_DAYS - 1,
        "postgres.log": KEPT_DAYS + 1,
        "airflow/supervisor.log": KEPT_DAYS + 1,
        "airflow/dag_id=growth_daily/run_id=old/task_id=load_feed/map_index=0/attempt=1.log": KEPT_DAYS + 1,
        "airflow/dag_id=growth_daily/run_id=cleared/task_id=load_feed/attempt=1.log": KEPT_DAYS + 1,
        "airflow/dag_id=growth_daily/run_id=cleared/task_id=load_feed/attempt=2.log": 1,
    }
    for name in ages:
        (logs / name).parent.mkdir(parents=True, exist_ok=True)
        (logs / name).touch()
    # from the deepest on: a folder is as old as what lies in it
    for path in sorted(logs.rglob("*"), reverse=True):
        then = time.time() - day * ages.get(path.relative_to(logs).as_posix(), KEPT_DAYS + 1)
        os.utime(path, (then, then))
    old = ["airflow/dag_id=growth_daily/run_id=old", "run-20240101T040000.log"]
    assert delete_old() == old
    assert {path.relative_to(logs).as_posix() for path in logs.rglob("*.log")} == {
        name for name in ages if not name.startswith(tuple(old))
    }
    assert not (logs / old[0]).exists()
    assert delete_old() == []


def test_a_link_to_nothing_keeps_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    folder = tmp_path / "logs" / "airflow" / "dag_id=growth_daily" / "run_id=old"
    folder.mkdir(parents=True)
    (folder / "latest").symlink_to("gone")
    then = time.time() - 24 * 3600 * (KEPT_DAYS + 1)
    os.utime(folder / "latest", (then, then), follow_symlinks=False)
    os.utime(folder, (then, then))
    assert delete_old() == ["airflow/dag_id=growth_daily/run_id=old"]
