"""Several stacks, or parts of one, as the documents have them: what Compose makes of their settings.

Prod and staging (docs/environments.md) have nothing in common; workers of another machine (docs/workers.md) reach all
that they need.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import workers
from support.compose import DOCKER, ROOT
from support.documents import blocks, commands

pytestmark = pytest.mark.usefixtures("docker_engine")
DOCUMENT = ROOT / "docs" / "environments.md"
RELEASE = "releases/2026-11-27"


def config(folder: Path, *options: str) -> dict[str, Any]:
    """What Compose would start, with every profile."""
    kept = {name: value for name in ("PATH", "HOME") if (value := os.environ.get(name))}
    command = [DOCKER, "compose", *options, "--profile", "*", "config", "--format", "json"]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def mounts(stack: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for service in stack["services"].values() for each in service.get("volumes") or []]


def taken(stack: dict[str, Any]) -> dict[str, set[str]]:
    """What of the machine a stack has for itself."""
    services = stack["services"].values()
    binds = [each for each in mounts(stack) if each["type"] == "bind"]
    return {
        "project": {stack["name"]},
        "containers": {service["container_name"] for service in services if "container_name" in service},
        "ports": {each["published"] for service in services for each in service.get("ports", [])},
        "volumes": {volume["name"] for volume in stack["volumes"].values()},
        "networks": {network["name"] for network in stack["networks"].values()},
        "folders that are written": {each["source"] for each in binds if not each.get("read_only")},
        "images that are built": {service["image"] for service in services if "build" in service},
    }


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a release of it, and the settings of prod and staging as the document shows them."""
    compose_file = ROOT / "docker-compose.yml"
    (tmp_path / RELEASE).mkdir(parents=True)
    shutil.copy(compose_file, tmp_path)
    shutil.copy(compose_file, tmp_path / RELEASE)
    shutil.copy(ROOT / ".env.staging.example", tmp_path / ".env.staging")
    [shown] = [text for language, text in blocks(DOCUMENT) if language == "text" and "COMPOSE_FILE=" in text]
    assert RELEASE in shown
    (tmp_path / ".env").write_text(shown)
    return tmp_path


def test_prod_and_staging_share_nothing_that_either_writes(checkout: Path) -> None:
    shutil.copy(ROOT / ".env.example", checkout)
    staging = taken(config(checkout, "--env-file", ".env.staging"))
    # a release; and the checkout itself, whose contracts, like all its code, are those of both, and may be restored
    for options, common in ((), set()), (("--env-file", ".env.example"), {str(checkout / "ingest" / "feeds")}):
        for what, names in taken(config(checkout, *options)).items():
            assert names or what == "containers", what
            assert names & staging[what] <= common, what


def test_prod_runs_the_release_that_it_is_pinned_to_and_staging_the_checkout(checkout: Path) -> None:
    prod, staging = config(checkout), config(checkout, "--env-file", ".env.staging")
    code = {"/opt/growth/dags", "/opt/growth/dbt_project", "/opt/growth/ingest/feeds", "/etc/growth/nginx.conf"}
    for stack, folder in ((prod, checkout / RELEASE), (staging, checkout)):
        sources = {each["target"]: Path(each["source"]) for each in mounts(stack) if each["target"] in code}
        assert sources.keys() == code
        assert {path.relative_to(folder).parts[0] for path in sources.values()} == {
            *("dags", "dbt_project", "ingest", "docker")
        }
        assert [service["build"]["context"] for service in stack["services"].values() if "build" in service] == [
            str(folder)
        ]


def test_prod_has_its_folders_and_no_sample_data(checkout: Path) -> None:
    prod = config(checkout)
    [made] = [shown.words[2:] for shown in commands(DOCUMENT) if shown.text.startswith("mkdir -p")]
    named = [value for line in (checkout / ".env").read_text().splitlines() if (value := line.split("=")[1])[0] == "$"]
    assert sorted(named) == sorted(made)
    folders = {os.path.expandvars(folder) for folder in made}
    assert all(Path(folder).is_absolute() for folder in folders)
    assert {each["source"] for each in mounts(prod) if each["type"] == "bind"} >= folders
    assert prod["services"]["sample-data"]["environment"]["SAMPLE_DATA"] == "false"


def test_another_name_in_env_is_another_release_over_the_same_data(checkout: Path) -> None:
    before = config(checkout)
    after = checkout / RELEASE.replace("27", "28")
    (checkout / RELEASE).rename(after)
    env = checkout / ".env"
    env.write_text(env.read_text().replace("2026-11-27", "2026-11-28"))
    prod = config(checkout)
    assert {each["source"].startswith(str(after)) for each in mounts(prod) if each["target"].startswith("/etc")} == {
        True
    }
    assert taken(prod)["images that are built"] == {"growth-analytics:2026-11-28"}
    for what in ("project", "ports", "volumes", "networks"):
        assert taken(prod)[what] == taken(before)[what], what


def test_workers_of_another_machine_reach_what_the_first_one_opens(tmp_path: Path) -> None:
    services = []
    for name, override in zip(("first", "other"), workers.overrides(), strict=True):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(ROOT / "docker-compose.yml", folder)
        (folder / ".env").write_text(workers.settings())
        (folder / "docker-compose.override.yml").write_text(override)
        services.append(config(folder)["services"])
    first, other = services
    opened = {
        (each["host_ip"], int(each["published"])): service
        for service in ("warehouse", "airflow-db", "redis", "airflow-apiserver")
        for each in first[service]["ports"]
    }
    # redis and airflow-apiserver by the ports that the stack itself uses
    assert opened == {
        ("10.0.0.5", int(port)): service
        for service, port in {
            "warehouse": other["airflow-worker"]["environment"]["WAREHOUSE_PORT"],
            "airflow-db": other["airflow-worker"]["environment"]["AIRFLOW_DB_ADDRESS"].removeprefix("10.0.0.5:"),
            "redis": "6379",
            "airflow-apiserver": "8080",
        }.items()
    }
    hosts = {"warehouse", "redis", "airflow-apiserver"}
    assert set(other["airflow-worker"]["extra_hosts"]) == {f"{host}=10.0.0.5" for host in hosts}
    [logs] = other["airflow-worker"]["ports"]
    assert (logs["host_ip"], logs["published"], logs["target"]) == ("10.0.0.6", "8793", 8793)
    assert first["airflow-apiserver"]["extra_hosts"] == [f"{other['airflow-worker']['hostname']}=10.0.0.6"]
