"""Prometheus' rules hold by their own unit tests; rules and dashboards ask for metrics that there are."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from support.missing import missing
from support.monitoring import DASHBOARDS, FOLDER, ROOT, panels, queries

from embedded.files import write_json
from embedded.place import STATE_FILE
from growth.metrics.airflow import AIRFLOW
from growth.metrics.command import _metadata
from growth.metrics.warehouse import WAREHOUSE
from growth.settings import Warehouse

RULES = yaml.safe_load((FOLDER / "growth.rules.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in RULES for rule in group["rules"]}
# by Prometheus itself, by growth/metrics/local.py and exporter.py
OTHERS = {
    *("up", "ALERTS", "growth_disk_size_bytes", "growth_disk_free_bytes", "growth_source_up", "growth_source_seconds"),
    *("growth_feed_delivered_within_seconds", "growth_feed_fresh_within_seconds", "growth_feed_reject_limit_ratio"),
    "growth_run_late_after_seconds",
}
KNOWN = OTHERS | {f"{facts.prefix}_{column}" for facts in (*WAREHOUSE, *AIRFLOW) for column in facts.helps}


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found:
        return found
    missing("promtool is not installed (Debian: apt install promtool, or prometheus)")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "growth.rules.yml"],
        ["check", "config", "prometheus.yml"],
        ["test", "rules", "growth.rules.test.yml"],
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(promtool: str, arguments: list[str]) -> None:
    done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_unit_tests_of_the_rules_can_fail(promtool: str, tmp_path: Path) -> None:
    text = (FOLDER / "growth.rules.yml").read_text()
    (tmp_path / "growth.rules.yml").write_text(text.replace("_in_a_row >= 3", "_in_a_row >= 2"))
    shutil.copy(FOLDER / "growth.rules.test.yml", tmp_path)
    done = subprocess.run([promtool, "test", "rules", "growth.rules.test.yml"], cwd=tmp_path, capture_output=True)
    assert done.returncode != 0


def test_every_alert_is_raised_and_kept_quiet_by_a_unit_test_and_says_what_to_do() -> None:
    tests = yaml.safe_load((FOLDER / "growth.rules.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    raised = {case["alertname"] for case in cases if case.get("exp_alerts")}
    quiet = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert raised == set(ALERTS)
    assert set(ALERTS) - quiet == {"SourceDown"}, "whose unit test has one source up and one down"
    document = (ROOT / "docs" / "monitoring.md").read_text()
    for name, rule in ALERTS.items():
        assert (ROOT / rule["annotations"]["runbook"]).exists(), name
        assert f"`{name}`" in document, name


def test_rules_and_panels_ask_for_metrics_that_there_are() -> None:
    asked = [rule["expr"] for rule in ALERTS.values()] + list(queries().values())
    names = {
        name
        for query in asked
        for name in re.findall(r"\b(?:growth|airflow)_\w+\b|\bup\b|\bALERTS\b", re.sub(r'"[^"]*"', "", query))
    }
    assert len(names) > 40
    assert names <= KNOWN


def test_metrics_are_listed_where_people_look_for_them() -> None:
    document = (ROOT / "docs" / "monitoring.md").read_text()
    assert sorted(name for name in KNOWN - {"up", "ALERTS"} if f"`{name}`" not in document) == []


def test_dashboards_are_as_grafana_takes_them() -> None:
    [source] = yaml.safe_load((FOLDER / "grafana" / "datasources.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((FOLDER / "grafana" / "dashboards.yml").read_text())["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]
    assert f"./docker/monitoring/dashboards:{provider['options']['path']}:ro" in compose["volumes"]
    uids = [json.loads(path.read_text())["uid"] for path in DASHBOARDS]
    assert uids == [f"growth-{path.stem}" for path in DASHBOARDS]
    assert len(uids) == 3
    for path in DASHBOARDS:
        places = []
        for panel in panels(path):
            assert panel["type"] in ("stat", "timeseries", "table")
            assert {panel["datasource"]["uid"], *(each["datasource"]["uid"] for each in panel["targets"])} == {
                source["uid"]
            }
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            places += [(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in [place["y"]]]
        assert len(set(places)) == len(places), "panels do not overlap"
        assert len({panel["id"] for panel in panels(path)}) == len(panels(path))


def test_monitoring_tells_nobody_anything_and_is_closed_to_other_machines() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    environment = services["grafana"]["environment"]
    off = {"REPORTING_ENABLED", "CHECK_FOR_UPDATES", "CHECK_FOR_PLUGIN_UPDATES", "FEEDBACK_LINKS_ENABLED"}
    assert {environment[f"GF_ANALYTICS_{name}"] for name in off} == {"false"}
    for name in ("metrics", "prometheus"):
        assert services[name]["ports"][0].startswith("127.0.0.1:"), name
    assert services["grafana"]["ports"][0].startswith("${GRAFANA_ADDRESS:-127.0.0.1}:")
    assert services["grafana"]["networks"] == services["prometheus"]["networks"] == ["monitoring"]
    assert [name for name in services["metrics"]["environment"] if "PASSWORD" in name] == ["WAREHOUSE_ANALYST_PASSWORD"]


def test_airflow_of_a_home_is_watched_also_where_the_warehouse_is_on_a_server_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path))
    monkeypatch.setenv("WAREHOUSE_HOST", "warehouse.example")
    monkeypatch.delenv("AIRFLOW_DB_HOST", raising=False)
    warehouse = Warehouse.at("warehouse.example", 5432)
    assert _metadata(warehouse) is None, "no run ever began here"
    (tmp_path / "server" / "data").mkdir(parents=True)
    write_json(tmp_path / STATE_FILE, {"folder": str(tmp_path / "server"), "port": 5439})
    write_json(tmp_path / "server" / "secrets.json", {"airflow": "secret"})
    assert _metadata(warehouse) == "postgresql://airflow:secret@127.0.0.1:5439/airflow"
