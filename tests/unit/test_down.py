"""What ``growth down --purge`` deletes, on a home without a server, and what the Docker stack refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from growth.cli import cli

MADE = ("airflow", "alerts", "cold", "dbt", "edr", "logs", "pycache")


@pytest.mark.parametrize(("host", "kept"), [("", ["mine"]), ("warehouse.example", ["cold", "mine"])])
def test_purge_deletes_what_growth_made_and_no_rows_of_another_server(
    host: str, kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_HOST", host)
    for name in (*MADE, "mine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").touch()
    done = CliRunner().invoke(cli, ["down", "--purge"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in tmp_path.iterdir() if (path / "content").exists()) == kept
    assert ("WAREHOUSE_HOST stays" in done.stderr) == bool(host)


@pytest.mark.parametrize("command", [["run"], ["up", "--ui"], ["down", "--purge"]])
def test_in_a_container_of_the_stack_no_second_airflow_is_started_or_deleted(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD", "airflow-secret database")
    (tmp_path / "alerts").mkdir()
    done = CliRunner().invoke(cli, command)
    assert done.exit_code == 1
    assert "airflow dags trigger growth_daily" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["alerts"]
