"""Tests of the Docker stack need an engine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.compose import OWNER, Stack, compose_stack, copy_checkout, missing_engine, wait_for
from support.missing import missing


@pytest.fixture(scope="session")
def docker_engine() -> None:
    if reason := missing_engine():
        missing(reason)


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a line that shows without ``-s``, also from one of several processes: how long things took."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def write(text: str) -> None:
        test = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1].split()[0]
        with capture.global_and_fixture_disabled():
            print(f"\n  {test}: {text}", file=sys.stderr, flush=True)

    return write


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    """The environment that a module's stack starts with."""
    return {}


@pytest.fixture(scope="module")
def checkout(docker_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout of a module's stack."""
    return copy_checkout(tmp_path_factory.mktemp("compose") / "growth-analytics", owner=OWNER)


@pytest.fixture(scope="module")
def stack(checkout: Path, variables: dict[str, str], tell: Callable[[str], None]) -> Iterator[Stack]:
    """The stack of a module, whose tests follow one another on it, maybe beside that of another module."""
    with compose_stack(checkout, "e2e", **variables) as stack:
        begin = time.monotonic()
        stack.compose("build")
        tell(f"image built in {time.monotonic() - begin:.0f} s")
        tell(f"stack healthy in {stack.up():.0f} s")
        yield stack


@pytest.fixture(scope="module")
def first_run(stack: Stack, tell: Callable[[str], None]) -> str:
    """The run that nobody triggered."""
    run = wait_for(stack.runs, 60)[0]
    tell(f"first run finished {stack.finish(run['dag_run_id']):.0f} s after the stack was healthy")
    return str(run["dag_run_id"])
