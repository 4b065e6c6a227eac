"""The stack refuses default passwords on an open address, workers without tasks, and mounts it could not read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from growth import preflight

ROOT = Path(__file__).resolve().parents[2]
WORKERS = {"AIRFLOW__CORE__EXECUTOR": "CeleryExecutor"}
SAFE = {name: f"{name}-of-our-own" for name in preflight.DEFAULTS}


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.53", "::1", "localhost", ""])
def test_defaults_are_fine_on_loopback(address: str) -> None:
    assert preflight.unsafe_defaults({"BIND_ADDRESS": address}) == []


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.10", "::", "warehouse.example.org"])
def test_every_default_is_named_on_an_open_address(address: str) -> None:
    opened = {"BIND_ADDRESS": address, "GRAFANA_ADDRESS": address}
    assert preflight.unsafe_defaults({**opened, **WORKERS}) == list(preflight.DEFAULTS)
    assert preflight.unsafe_defaults({"BIND_ADDRESS": address}) == [
        name for name in preflight.DEFAULTS if name not in ("REDIS_PASSWORD", "GRAFANA_PASSWORD")
    ]
    assert preflight.unsafe_defaults({"GRAFANA_ADDRESS": address}) == ["GRAFANA_PASSWORD"]


@pytest.mark.parametrize("name", preflight.DEFAULTS)
@pytest.mark.parametrize("value", ["default", "empty"])
def test_one_default_among_safe_passwords_is_named(name: str, value: str) -> None:
    left = preflight.DEFAULTS[name] if value == "default" else ""
    opened = {"BIND_ADDRESS": "0.0.0.0", "GRAFANA_ADDRESS": "0.0.0.0"}
    assert preflight.unsafe_defaults({**opened, **WORKERS, **SAFE, name: left}) == [name]


def test_own_passwords_may_be_published() -> None:
    assert preflight.unsafe_defaults({"BIND_ADDRESS": "0.0.0.0", **SAFE}) == []


def test_the_defaults_are_those_of_the_compose_file_and_all_of_them() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    # a secret whose default is empty has nothing that anybody could know: it is not in use until it is set
    in_compose = dict(re.findall(r"\$\{(\w+(?:PASSWORD|KEY)):-([^}]+)\}", text))
    assert in_compose == preflight.DEFAULTS
    given = set(yaml.safe_load(text)["services"]["preflight"]["environment"])
    assert {*preflight.DEFAULTS, "BIND_ADDRESS", "GRAFANA_ADDRESS", "AIRFLOW_UID"} <= given


@pytest.mark.parametrize(
    ("mode", "user_id", "readable"),
    [
        pytest.param(0o755, 50000, True, id="others may read"),
        pytest.param(0o700, 50000, False, id="umask 077"),
        pytest.param(0o711, 50000, False, id="others may enter but not list"),
        pytest.param(0o700, None, True, id="run as the owner"),
    ],
)
def test_folders_closed_to_the_stacks_user_are_found(
    tmp_path: Path, mode: int, user_id: int | None, readable: bool
) -> None:
    folder = tmp_path / "landing"
    folder.mkdir()
    folder.chmod(mode)
    owner = folder.stat().st_uid
    closed = preflight.unreadable([folder, tmp_path / "absent"], owner if user_id is None else user_id)
    assert closed == ([] if readable else [folder])


@pytest.mark.parametrize("name", ["models/a.sql", "models", "models/below"])
def test_sources_closed_to_the_stacks_user_are_found(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "dbt_project"
    (folder / "models" / "below").mkdir(parents=True)
    (folder / "models" / ".#a.sql").symlink_to("of an editor")
    (folder / "models" / "a.sql").touch(0o644)
    (folder / ".user.yml.lock").touch(0o600)  # read by nobody else
    (folder / "target").mkdir(0o700)
    assert preflight.unreadable([folder], 50000) == []
    (folder / name).chmod(0o600 if name.endswith(".sql") else 0o700)
    assert preflight.unreadable([folder], 50000) == [folder]


def test_it_says_what_is_wrong_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(preflight, "PROJECT_ROOT", tmp_path)
    for name in preflight.DEFAULTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(preflight, "has_broker", lambda: False)
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("BIND_ADDRESS", "0.0.0.0")
    monkeypatch.setenv("GRAFANA_ADDRESS", "192.168.1.10")
    assert preflight.main() == 1
    said = capsys.readouterr().err
    assert "BIND_ADDRESS=0.0.0.0, GRAFANA_ADDRESS=192.168.1.10 lets other machines in" in said
    assert all(name in said for name in preflight.DEFAULTS)
    assert ".env" in said
    assert "AIRFLOW_EXECUTOR=CeleryExecutor, but the profile celery is off" in said
    monkeypatch.setenv("BIND_ADDRESS", "127.0.0.1")
    monkeypatch.delenv("GRAFANA_ADDRESS")
    monkeypatch.delenv("AIRFLOW__CORE__EXECUTOR")
    assert preflight.main() == 0
    monkeypatch.setenv("GROWTH_WEBHOOK_URL", "# gets JSON")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://tools.example.org/airflow")
    assert preflight.main() == 1
    said = capsys.readouterr().err
    assert "GROWTH_WEBHOOK_URL: the value is a comment" in said
    assert "GROWTH_AIRFLOW_URL has a path, /airflow" in said


def test_no_line_of_the_example_has_a_comment_for_a_value() -> None:
    for name in (".env.example", ".env.staging.example"):
        assert re.findall(r"^#? ?\w+=[ \t]+#.*$", (ROOT / name).read_text(), re.MULTILINE) == [], name


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("http://127.0.0.1:8080", ""),
        ("https://airflow.example.org/", ""),
        ("", ""),
        ("https://example.org/airflow", "has a path, /airflow,"),
        ("airflow.example.org:8080", "does not begin with http"),
    ],
)
def test_airflow_is_at_the_root_of_an_address(address: str, wrong: str) -> None:
    assert preflight.wrong_address({"AIRFLOW__API__BASE_URL": address}).startswith(wrong)
    assert bool(preflight.wrong_address({"AIRFLOW__API__BASE_URL": address})) == bool(wrong)


def test_a_value_may_begin_like_a_comment() -> None:
    assert preflight.comments({"WAREHOUSE_PASSWORD": "#S3cret", "ELEMENTARY_SLACK_CHANNEL": "#growth"}) == []


@pytest.mark.parametrize(
    ("executor", "has_broker", "said"),
    [
        pytest.param("LocalExecutor", False, "", id="the default"),
        pytest.param("", False, "", id="empty is the default"),
        pytest.param("CeleryExecutor", True, "", id="workers"),
        pytest.param("CeleryExecutor", False, "COMPOSE_PROFILES", id="variable without profile"),
        pytest.param("LocalExecutor", True, "AIRFLOW_EXECUTOR=CeleryExecutor", id="profile without variable"),
        pytest.param("KubernetesExecutor", True, "not supported", id="another executor"),
    ],
)
def test_executor_and_profile_belong_together(executor: str, has_broker: bool, said: str) -> None:
    fault = preflight.executor_without_workers({"AIRFLOW__CORE__EXECUTOR": executor}, has_broker)
    assert said in fault
    assert bool(fault) == bool(said)
