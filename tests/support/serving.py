"""The commands that serve pages, as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from growth.settings import Warehouse
from support.compose import free_port, wait_for

HEALTH = {"dashboard": "/_stcore/health", "portal": "/"}


@contextmanager
def served(command: str, warehouse: Warehouse, log: Path) -> Iterator[str]:
    """The address at which ``growth dashboard`` or ``growth portal`` serves a warehouse."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("growth"), command, "--port", str(port)],
            env={**os.environ, **warehouse.environment()},
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(f"{address}{HEALTH[command]}", timeout=5) as answer:
            return bool(answer.status == 200)

    try:
        wait_for(answers, 60)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
