"""Tests of the Docker stack need an engine: in CI its absence is a failure, elsewhere a reason to skip."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.compose import OWNER, Stack, compose_stack, copy_checkout, missing_engine, wait_for


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Print what a process of xdist was told."""
    reporter = node.config.pluginmanager.getplugin("terminalreporter")
    reporter.ensure_newline()
    for text in getattr(node, "workeroutput", {}).get("told", []):
        reporter.write_line(f"  {text}")


@pytest.fixture(scope="session")
def docker_engine() -> None:
    if reason := missing_engine():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI needs a Docker engine: {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line that shows without ``-s``: how long things took; side by side, at the end of the process."""
    if hasattr(pytestconfig, "workeroutput"):
        return pytestconfig.workeroutput.setdefault("told", []).append
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
    """The stack of this process: of test_compose, or of test_compose_beside and then test_compose_celery."""
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
