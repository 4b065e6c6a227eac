"""Airflow's commands in one process: what stands in its list of arguments, and what Airflow is given."""

from __future__ import annotations

import os
import runpy
import subprocess
from pathlib import Path

import pytest

from embedded.airflow_main import PASSWORD, command_line, create_login

ROOT = Path(__file__).resolve().parents[2]
SECRET = "-of our own"
AIRFLOW = """
import sys
import psutil

def main():
    print(sys.argv[1:], psutil.Process().cmdline())
"""


def test_the_password_is_given_to_airflow_and_stands_in_no_list_of_processes(tmp_path: Path) -> None:
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "__init__.py").touch()
    (tmp_path / "airflow" / "__main__.py").write_text(AIRFLOW)
    done = subprocess.run(
        command_line(["db", "migrate"], create_login(PASSWORD)),
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "AIRFLOW_PASSWORD": SECRET},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("['db', 'migrate'] ")
    given, listed = second.split("] ")
    assert f"'--password={SECRET}'" in given
    assert "users" in listed
    assert SECRET not in listed


def test_no_command_of_migrate_has_a_secret_among_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["WAREHOUSE_PASSWORD", "WAREHOUSE_TRANSFORM_PASSWORD", "AIRFLOW_PASSWORD", "AIRFLOW_FERNET_KEY"]
    for name in names:
        monkeypatch.setenv(name, f"secret {name}")
    for name, value in {"HOST": "warehouse", "PORT": "5432", "DB": "growth", "USER": "growth"}.items():
        monkeypatch.setenv(f"WAREHOUSE_{name}", value)
    monkeypatch.delenv("AIRFLOW__SECRETS__BACKEND", raising=False)
    ran: list[str] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        ran.extend(command)
        return subprocess.CompletedProcess(command, 0)

    migrate = runpy.run_path(str(ROOT / "docker" / "airflow" / "migrate.py"))
    monkeypatch.setattr(subprocess, "run", run)
    for name in ("leave_default", "admit_metrics"):
        migrate["main"].__globals__[name] = lambda *_: None
    monkeypatch.setattr(migrate["reports"], "write_index", lambda: None)
    migrate["main"]()
    assert {"rotate-fernet-key", "reset-password", "connections", PASSWORD} <= set(ran)
    assert [word for word in ran if "secret " in word] == []
