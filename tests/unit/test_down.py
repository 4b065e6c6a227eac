"""What ``growth down --purge`` deletes, on a home without a server."""

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
