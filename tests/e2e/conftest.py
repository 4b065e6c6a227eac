"""Tests of the Docker stack need an engine: in CI its absence is a failure, elsewhere a reason to skip."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest
from support.compose import OWNER, Stack, compose_stack, copy_checkout, missing_engine, wait_for


@pytest.fixture(scope="session")
def docker_engine() -> None:
    if reason := missing_engine():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a Docker engine: {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line that shows without ``-s``: how long things took."""
    reporter = pytestconfig.pluginmanager.getplugin("terminalreporter")
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(f"  {text}")
            reporter.flush()

    return write


@pytest.fixture(scope="session")
def stack(
    docker_engine: None, tmp_path_factory: pytest.TempPathFactory, tell: Callable[[str], None]
) -> Iterator[Stack]:
    """The stack of the modules test_compose and then test_compose_celery, whose tests follow one another on it."""
    folder = copy_checkout(tmp_path_factory.mktemp("compose") / "growth-analytics", owner=OWNER)
    with compose_stack(folder, "e2e") as stack:
        begin = time.monotonic()
        stack.compose("build")
        tell(f"image built in {time.monotonic() - begin:.0f} s")
        tell(f"stack healthy in {stack.up():.0f} s")
        yield stack


@pytest.fixture(scope="session")
def first_run(stack: Stack, tell: Callable[[str], None]) -> str:
    """The run that nobody triggered."""
    run = wait_for(stack.runs, 60)[0]
    tell(f"first run finished {stack.finish(run['dag_run_id']):.0f} s after the stack was healthy")
    return str(run["dag_run_id"])
