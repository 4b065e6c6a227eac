"""Prod and staging as docs/environments.md has them: what Compose makes of their settings has nothing in common."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.compose import DOCKER, ROOT

pytestmark = pytest.mark.usefixtures("docker_engine")
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
    document = (ROOT / "docs" / "environments.md").read_text()
    [shown] = re.findall(r"^```text\n(COMPOSE_FILE=.*?)^```$", document, re.MULTILINE | re.DOTALL)
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
