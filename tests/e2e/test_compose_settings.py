"""Stacks with other settings: an open address, a checkout that nobody else may read, staging beside the first one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.compose import OWNER, Stack, compose_stack, copy_checkout, marts, set_modes, wait_for

from growth.preflight import DEFAULTS

pytestmark = [pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(900)]


def test_default_passwords_are_refused_on_an_open_address(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "growth-analytics")
    with compose_stack(folder, "open", BIND_ADDRESS="0.0.0.0", WAREHOUSE_PASSWORD="of-our-own") as stack:
        started = stack.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "60", check=False)
        assert started.returncode != 0
        said = stack.compose("logs", "--no-color", "preflight").stdout
        expected = {name for name in DEFAULTS if name not in ("WAREHOUSE_PASSWORD", "GRAFANA_PASSWORD")}
        assert {name for name in DEFAULTS if f" {name}," in f"{said.replace('.', ',')}"} == expected
        assert "BIND_ADDRESS=0.0.0.0" in said
        for service in ("warehouse", "airflow-db", "airflow-apiserver"):
            assert stack.inspect(service)["State"]["Status"] == "created"  # never started


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a folder that belongs to somebody else")
def test_a_checkout_that_only_its_owner_may_read_is_explained(tmp_path: Path) -> None:
    folder = copy_checkout(tmp_path / "growth-analytics", owner=OWNER, private=True)
    with compose_stack(folder, "private") as stack:
        assert stack.compose("up", "--build", "--exit-code-from", "preflight", "preflight", check=False).returncode == 1
        said = stack.compose("logs", "--no-color", "preflight").stdout
        assert "AIRFLOW_UID" in said
        assert all(name in said for name in ("landing", "dags", "dbt_project", "ingest/feeds"))


def test_a_staging_stack_beside_the_first_from_the_same_checkout_that_is_private_now(
    stack: Stack, first_run: str, tell: Callable[[str], None]
) -> None:
    before = marts(stack)
    example = (stack.folder / ".env.staging.example").read_text()
    (stack.folder / ".env.staging").write_text(f"{example}\nAIRFLOW_UID={OWNER}\n")
    landing = stack.folder / "landing-staging"
    landing.mkdir()
    os.chown(landing, OWNER, OWNER)
    set_modes(stack.folder, private=True)  # the first stack goes on running; who runs staging may read everything
    with compose_stack(stack.folder, "staging", env_file=".env.staging") as staging:
        staging.compose("build")
        tell(f"second stack, without sample data, healthy in {staging.up():.0f} s")
        assert list(landing.iterdir()) == []
        run = wait_for(staging.runs, 60)[0]["dag_run_id"]
        tell(f"scheduled run over no file at all finished in {staging.finish(run):.0f} s")
        assert staging.compose("exec", "-T", "airflow-scheduler", "id", "-u").stdout.strip() == str(OWNER)
        with staging.connect("analyst") as conn:
            assert conn.execute("select count(*) from mart.channel_attribution").fetchone() == (0,)
        assert marts(stack) == before
        images = [each.inspect("airflow-scheduler")["Config"]["Image"] for each in (stack, staging)]
        assert images == ["growth-analytics", "growth-analytics:staging"]
