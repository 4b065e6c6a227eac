"""Every command works on a home that nothing ran in yet; somebody's own server is not set up unasked."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psycopg
import pytest

from embedded.server import EmbeddedPostgres
from growth import dbt
from growth.backtest import churn
from growth.cli import main
from growth.settings import Warehouse

Growth = Callable[..., tuple[int, str, str]]


@pytest.fixture
def growth(
    warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Growth:
    """Run a command on an embedded server that was made a moment ago; exit code, standard output, standard error."""
    monkeypatch.delenv("WAREHOUSE_HOST", raising=False)
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "landing"))
    monkeypatch.setattr(EmbeddedPostgres, "start", lambda _: warehouse)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["growth", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        output, errors = capfd.readouterr()
        return int(ended.value.code or 0), output, errors

    return call


COUNT = ("sql", "select count(*) from mart.publications", "--format", "csv")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (COUNT, (0, "count\n0\n", "")),
        (("rejects", "discard", "sessions/a.csv"), (0, "", "sessions/a.csv: 0 records taken off the quarantine\n")),
        (("unload", "sessions/a.csv"), (1, "", "growth: sessions/a.csv: no file of that name is loaded\n")),
        (("thaw",), (0, "", "All rows are in raw.\n")),
        (("backtest", "churn"), (1, "", "growth: No day of engagement is published yet.\n")),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value[0], str) else "",
)
def test_a_command_on_a_fresh_home_sets_the_warehouse_up(
    growth: Growth, arguments: tuple[str, ...], expected: tuple[int, str, str]
) -> None:
    assert growth(*arguments) == expected


def test_dbt_without_a_command_says_which_there_are(growth: Growth) -> None:
    code, output, errors = growth("dbt")
    assert (code, errors) == (0, "")
    assert output.startswith("Usage: ")
    assert "build" in output


def test_a_server_of_ones_own_is_left_as_it_is(
    growth: Growth, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in warehouse.environment().items():
        monkeypatch.setenv(name, value)
    assert growth(*COUNT)[0] == 1
    with psycopg.connect(warehouse.conninfo()) as conn:
        assert conn.execute("select to_regnamespace('mart')").fetchone() == (None,)
    assert growth("init")[0] == 0
    assert growth(*COUNT)[:2] == (0, "count\n0\n")


def test_a_query_of_the_back_test_that_dbt_cannot_compile_is_told_in_a_line(
    growth: Growth, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = dbt.DbtResult(succeeded=False, node_count=0, failures=(), error="no such analysis")
    monkeypatch.setattr(churn, "_newest_day", lambda _: date(2024, 3, 1))
    monkeypatch.setattr(dbt, "invoke", lambda *_arguments, **_settings: failed)
    assert growth("backtest", "churn") == (1, "", "growth: no such analysis\n")
