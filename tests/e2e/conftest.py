"""Tests of the Docker stack need an engine: in CI its absence is a failure, elsewhere a reason to skip."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from support.compose import missing_engine


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
