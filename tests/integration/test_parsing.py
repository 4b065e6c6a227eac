"""The project is parsed in advance and once; of Elementary, monitors hide no contract, and hooks stop no command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import psycopg
import pytest

from growth import dbt, parsing
from growth.settings import PROJECT_ROOT, Warehouse, feeds_folder
from growth.warehouse import initialise
from ingest.contract_files import load_contracts
from ingest.dbt_sources import write_sources

PROJECT = PROJECT_ROOT / "dbt_project"
# Elementary's tests as far as dbt parses them here: names and arguments of its package (0.25.1).
MONITORS = """
{% test volume_anomalies(model, timestamp_column) %} select 1 {% endtest %}
{% test freshness_anomalies(model, timestamp_column) %} select 1 {% endtest %}
{% test schema_changes(model) %} select 1 {% endtest %}
"""
WAREHOUSE = Warehouse.at("127.0.0.1", 5432)  # no server: none is asked


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dbt project without its models, which are most of what dbt parses, and packages that have the monitors."""
    folder = tmp_path / "dbt_project"
    for name in ("macros", "tests/generic"):
        shutil.copytree(PROJECT / name, folder / name)
    for path in PROJECT.glob("*.yml"):
        shutil.copy(path, folder)
    write_sources(load_contracts(feeds_folder()), folder)
    shutil.copytree(PROJECT / "stand_ins", tmp_path / "packages")
    macros = tmp_path / "packages" / "elementary" / "macros"
    macros.mkdir()
    (macros / "monitors.sql").write_text(MONITORS)
    monkeypatch.setenv("DBT_PACKAGES_DIR", str(tmp_path / "packages"))
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    monkeypatch.setattr(dbt, "PROJECT_ROOT", tmp_path)
    return folder


@pytest.mark.parametrize("hook", ["{{ fail() }}", "select 1 / 0"])
def test_a_hook_of_elementary_that_fails_stops_neither_the_command_nor_our_own_hooks(
    project: Path, warehouse: Warehouse, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    contracts = load_contracts(feeds_folder())
    initialise(warehouse, contracts)
    package = project.parent / "packages" / "elementary"
    (package / "macros" / "fail.sql").write_text(
        "{% macro fail() %}{% if execute %}{% do run_query('select 1 / 0') %}{% endif %}{% endmacro %}"
    )
    settings = package / "dbt_project.yml"
    settings.write_text(f'{settings.read_text()}on-run-start: ["{hook}"]\non-run-end: ["{hook}"]\n')
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        conn.execute("create schema dq_failures")
        conn.execute("create table dq_failures.old (a integer)")
        conn.execute("comment on table dq_failures.old is '2024-01-01T00:00:00Z some_test'")
    result = dbt.invoke(["test", "--select", "not_null_sessions", "--quiet"], warehouse)
    assert (result.succeeded, [check.status for check in result.checks]) == (True, ["pass"])
    assert [failure.name for failure in result.failures] == []
    told = [record.getMessage() for record in caplog.records if record.name == "growth.elementary_hooks"]
    assert [text.split()[0] for text in told] == ["elementary-on-run-start-0", "elementary-on-run-end-0"]
    assert all("division by zero" in text for text in told)
    with psycopg.connect(warehouse.conninfo("transform")) as conn:
        assert conn.execute("select to_regclass('dq_failures.old')").fetchone() == (None,), "our own hook ran"


def test_a_monitored_feed_hides_nothing_of_its_contract(project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The models of an incremental run take the columns of what changed from there."""
    contracts = load_contracts(feeds_folder())
    asked = ", ".join(f"'{feed}': feed_contract('{feed}')" for feed in contracts)
    query = ["--inline", f"{{{{ tojson({{{asked}}}) }}}}"]
    result = dbt.invoke(
        ["compile", "--quiet", "--no-populate-cache", "--no-introspect", *query],
        WAREHOUSE,
    )
    assert result.succeeded, result.error
    assert json.loads(capfd.readouterr().out) == {
        feed: {"identity": contract.user_identity, "user": contract.user, "event_time": contract.time_column}
        | ({"currency": contract.currency} if contract.currency else {})
        for feed, contract in contracts.items()
    }
    manifest = json.loads((project.parent / "dbt" / "target-prod" / "manifest.json").read_text())
    assert {source["name"] for source in manifest["sources"].values() if source["source_name"] == "monitored"} == set(
        contracts
    )


def test_the_project_is_parsed_beside_other_work_and_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("models", "monitors"):  # the less there is, the sooner it is parsed
        shutil.rmtree(project / folder)
    settings = dbt.environment(WAREHOUSE, "prod")
    parsed = Path(settings["DBT_TARGET_PATH"]) / parsing.PARSED

    def parse() -> int:
        parsing.begin(WAREHOUSE)
        parsing.begin(WAREHOUSE)  # leaves it to the first
        parsing.wait(settings)
        return parsed.stat().st_mtime_ns

    first = parse()
    assert parse() == first, "nothing has changed"
    (project / "macros" / "more.sql").write_text("{% macro more() %}{% endmacro %}")
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    manifest = parsing.kept(["test"], settings)
    assert "macro.growth.more" in manifest.macros
    assert parsing.kept(["build", "--full-refresh"], settings) is manifest
    assert parsing.kept(["test", "--vars", "{}"], settings) is None
    (project / "macros" / "more.sql").unlink()
    assert "macro.growth.more" not in parsing.kept(["test"], settings).macros
    (project / "macros" / "more.sql").write_text("{% macro")
    assert parsing.kept(["test"], settings) is None, "the command says what is wrong"
    assert "unexpected EOF" in dbt.invoke(["test"], WAREHOUSE).error
