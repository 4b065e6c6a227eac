"""Secrets come from files where the environment names some, for our own programs and for Airflow."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from growth import secret_files
from growth.notebook import notebook_environment
from growth.pages import reader_environment
from growth.preflight import DEFAULTS
from growth.settings import Warehouse

ROOT = Path(__file__).resolve().parents[2]
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|WEBHOOK|_KEY(_ID)?$")


def test_a_file_goes_before_a_value_and_the_end_of_its_line_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(" of our own \n")
    environment = {"WAREHOUSE_PASSWORD": "growth", "WAREHOUSE_PASSWORD_FILE": str(tmp_path / "file")}
    environment |= {"REDIS_PASSWORD": "redis", "REDIS_PASSWORD_FILE": ""}
    secret_files.read(environment)
    assert environment["WAREHOUSE_PASSWORD"] == " of our own "
    assert environment["REDIS_PASSWORD"] == "redis"


@pytest.mark.parametrize(
    ("content", "said"), [(None, "cannot be read"), (b"", "is empty"), (b"\n", "is empty"), (b"\xff", "not UTF-8")]
)
def test_a_file_without_a_secret_is_told_with_what_to_do(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SystemExit, match=said) as stopped:
        secret_files.read({"AIRFLOW_PASSWORD_FILE": str(file)})
    assert f"AIRFLOW_PASSWORD_FILE={file}" in str(stopped.value)


def test_the_command_line_reads_them(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from-a-file\n")
    program = "from growth.settings import Warehouse; print(Warehouse.at('127.0.0.1', 1).passwords['ingest'])"
    environment = {**os.environ, "WAREHOUSE_INGEST_PASSWORD_FILE": str(tmp_path / "password")}
    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert said.stdout == "from-a-file\n"


def test_who_only_reads_knows_the_password_of_analyst_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    of_others = ("AIRFLOW_CONN_WAREHOUSE", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "AWS_SESSION_TOKEN", "PGPASSWORD")
    for name in (*secret_files.SECRETS, *of_others):
        monkeypatch.setenv(name, f"secret {name}")
    for name in secret_files.SECRETS:
        monkeypatch.setenv(f"{name}_FILE", f"/secret/{name}")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("STREAMLIT_THEME_BASE", "dark")
    warehouse = Warehouse.at("127.0.0.1", 5432)
    for environment in (reader_environment(warehouse), notebook_environment(warehouse, os.environ)):
        known = {value for value in environment.values() if value.startswith(("secret ", "/secret/"))}
        assert known == {"secret WAREHOUSE_ANALYST_PASSWORD"}
        assert environment["LANG"] == "C.UTF-8"
        assert environment["STREAMLIT_THEME_BASE"] == "dark"


def test_every_secret_of_the_stack_may_come_from_a_file() -> None:
    used = set(re.findall(r"\$\{(\w+):-", (ROOT / "docker-compose.yml").read_text()))
    # a key's file is a path, and a backend is no secret
    named = {name for name in used if SECRET.search(name)} - {
        "AIRFLOW_SECRETS_BACKEND",
        "AIRFLOW_SECRETS_BACKEND_KWARGS",
    }
    assert named == set(secret_files.SECRETS)


def test_the_compose_file_for_secrets_takes_every_default_out_of_the_environment() -> None:
    plain = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    files = yaml.safe_load((ROOT / "docker-compose.secrets.yml").read_text())
    assert {name.upper() for name in files["secrets"]} == set(DEFAULTS)
    for name, service in plain.items():
        known = {*DEFAULTS, "POSTGRES_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"} & set(service.get("environment", {}))
        mine = files["services"].get(name, {"environment": {}, "secrets": []})
        assert {each for each, value in mine["environment"].items() if value == ""} == known, name
        paths = {value for value in mine["environment"].values() if value}
        assert paths == {f"/run/secrets/{secret}" for secret in mine["secrets"]}, name


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("database", "postgresql+psycopg2://airflow:a%2Fb%40c%20%25@airflow-db/airflow"),
        ("broker", "redis://:a%2Fb%40c%20%25@redis:6379/0"),
        ("secret-key", "a/b@c %"),
        ("fernet-key", "a/b@c %"),
        ("flower", "airflow:a/b@c %"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "file"])
def test_airflow_gets_its_settings_from_the_same_secrets(
    tmp_path: Path, setting: str, expected: str, source: str
) -> None:
    (tmp_path / "secret").write_text("a/b@c %\n")
    environment = dict.fromkeys(DEFAULTS, "a/b@c %")
    if source == "file":
        environment = {f"{name}_FILE": str(tmp_path / "secret") for name in DEFAULTS}
    script = ROOT / "docker" / "airflow" / "secret.py"
    done = subprocess.run(
        [sys.executable, "-IS", script, setting], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == expected
