"""Stacks with other settings: an open address, a checkout that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.compose import OWNER, compose_stack, copy_checkout

from growth.preflight import DEFAULTS

IMAGE = "growth-analytics:settings"  # that of another stack may be in use meanwhile

pytestmark = [pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(900)]


def test_default_passwords_are_refused_on_an_open_address(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "growth-analytics")
    own = {"BIND_ADDRESS": "0.0.0.0", "WAREHOUSE_PASSWORD": "of-our-own"}
    with compose_stack(folder, "open", GROWTH_IMAGE=IMAGE, **own) as stack:
        started = stack.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "60", check=False)
        assert started.returncode != 0
        said = stack.compose("logs", "--no-color", "preflight").stdout
        # Redis and Grafana are not there
        expected = DEFAULTS.keys() - {"WAREHOUSE_PASSWORD", "GRAFANA_PASSWORD", "REDIS_PASSWORD"}
        assert {name for name in DEFAULTS if f" {name}," in f"{said.replace('.', ',')}"} == expected
        assert "BIND_ADDRESS=0.0.0.0" in said
        for service in ("warehouse", "airflow-db", "airflow-apiserver"):
            assert stack.inspect(service)["State"]["Status"] == "created"  # never started


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder that belongs to somebody else")
def test_a_checkout_that_only_its_owner_may_read_is_explained(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "growth-analytics", owner=OWNER, private=True)
    with compose_stack(folder, "private", GROWTH_IMAGE=IMAGE) as stack:
        assert stack.compose("up", "--build", "--exit-code-from", "preflight", "preflight", check=False).returncode == 1
        said = stack.compose("logs", "--no-color", "preflight").stdout
        assert "AIRFLOW_UID" in said
        assert all(name in said for name in ("landing", "dags", "dbt_project", "ingest/feeds"))
