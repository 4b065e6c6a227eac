"""What ``growth run`` takes, and hands to the DAG as its params."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import embedded.run
from growth import cli, parsing
from growth.settings import Warehouse


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The params of the runs, each of which fails."""
    params: list[dict[str, Any]] = []

    def run_dag(_home: object, _warehouse: object, conf: dict[str, Any], _log: object) -> int:
        params.append(conf)
        return 1

    monkeypatch.setattr(embedded.run, "run_dag", run_dag)
    monkeypatch.setattr(parsing, "begin", lambda _: None)
    monkeypatch.setattr(cli, "connect", lambda: Warehouse.at("none", 0))
    return params


@pytest.mark.parametrize("option", ["--domains", "--feeds"])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("subscription,nobody", "nobody"),
        ("", "names no"),
        (" , ", "names no"),
    ],
)
def test_a_name_that_is_none_is_refused_before_anything_runs(
    handed: list[dict[str, Any]], option: str, names: str, message: str
) -> None:
    done = CliRunner().invoke(cli.cli, ["run", option, names])
    assert done.exit_code == 2
    assert message in done.stderr
    assert handed == []


def test_a_sample_of_no_feed_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.cli, ["sample", str(tmp_path / "landing"), "--feeds", ""])
    assert done.exit_code == 2
    assert "names no feed; there are: sessions, " in done.stderr
    assert not (tmp_path / "landing").exists()


def test_options_become_params_of_the_run(handed: list[dict[str, Any]]) -> None:
    nothing = {"full_refresh": False, "feeds": [], "domains": []}
    for arguments, expected in (
        ([], {}),
        (["--domains", "subscription"], {"domains": ["subscription"]}),
        (["--domains", "acquisition, engagement"], {"domains": ["acquisition", "engagement"]}),
        (["--feeds", "sessions", "--full-refresh"], {"feeds": ["sessions"], "full_refresh": True}),
    ):
        done = CliRunner().invoke(cli.cli, ["run", *arguments])
        assert done.exit_code == 1, done.output
        assert handed.pop() == nothing | expected
