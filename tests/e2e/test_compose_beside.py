"""A staging stack beside that of test_compose: comes after its tests, and before those of test_compose_celery."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.compose import OWNER, Stack, compose_stack, marts, set_modes, wait_for

pytestmark = [pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(900)]


@pytest.fixture
def landing(stack: Stack) -> Iterator[Path]:
    """The landing folder of staging, in a checkout that only its owner may read meanwhile."""
    folder = stack.folder / "landing-staging"
    folder.mkdir()
    os.chown(folder, OWNER, OWNER)
    set_modes(stack.folder, private=True)
    yield folder
    set_modes(stack.folder, private=False)
    shutil.rmtree(folder)


def test_a_staging_stack_beside_the_first_from_the_same_checkout_that_is_private_now(
    stack: Stack, first_run: str, landing: Path, tell: Callable[[str], None]
) -> None:
    """The first stack goes on running; who runs staging may read everything."""
    before = marts(stack)
    example = (stack.folder / ".env.staging.example").read_text()
    (stack.folder / ".env.staging").write_text(f"{example}\nAIRFLOW_UID={OWNER}\n")
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
