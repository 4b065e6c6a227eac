"""Keep Airflow's processes running: ``python -m embedded.supervisor STATE-FILE PORT``.

Each child is a session of its own with a log of its own. One that dies is started again, after 1, 2, 4 ... 30 s; on
SIGTERM all are stopped. The state file names this process and the port of the web interface.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from embedded.airflow_main import command_line
from embedded.databases import ADDRESS
from embedded.files import open_log, write_json
from embedded.metadata import MARK
from embedded.processes import stop_all, wait_until, with_environment

POLL_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
STOP_SECONDS = 20.0


@dataclass(slots=True)
class Child:
    """One Airflow process, over all its lives."""

    name: str
    arguments: list[str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = 1.0
    next_start: float = 0.0

    def keep_running(self) -> None:
        """Start the process where it is due, and note its death where it died."""
        now = time.monotonic()
        if self.process is None:
            if now >= self.next_start:
                self._start(now)
        elif self.process.poll() is not None:
            self.signal(signal.SIGKILL)  # what it has left of its group
            self.pause = 1.0 if now - self.started > STEADY_SECONDS else min(2 * self.pause, LONGEST_PAUSE_SECONDS)
            note(f"{self.name} ended with {self.process.returncode}; it starts again in {self.pause:.0f} s")
            self.process, self.next_start = None, now + self.pause

    def signal(self, number: int) -> None:
        """Send a signal to the process and its group."""
        if self.process:
            try:
                os.killpg(self.process.pid, number)
            except (ProcessLookupError, PermissionError):  # gone
                return

    def _start(self, now: float) -> None:
        log = open_log(self.log)
        try:
            self.process = subprocess.Popen(
                command_line(self.arguments), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        finally:
            os.close(log)
        self.started = now
        note(f"{self.name} started as process {self.process.pid}")


def note(text: str) -> None:
    """Write a line to this process's log."""
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}", flush=True)


def children(port: int, logs: Path) -> list[Child]:
    """The processes to keep; none serves logs, since the api-server reads the same folder."""
    commands = {
        "api-server": ["api-server", "--host", ADDRESS, "--port", str(port), "--workers", "1"],
        "scheduler": ["scheduler", "--skip-serve-logs"],
        "dag-processor": ["dag-processor"],
        "triggerer": ["triggerer", "--skip-serve-logs"],
    }
    return [Child(name, arguments, logs / f"{name}.log") for name, arguments in commands.items()]


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    state, port = Path(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    kept = children(port, Path(os.environ["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]))
    write_json(state, {"pid": os.getpid(), "port": port})
    while not stop.is_set():
        for child in kept:
            child.keep_running()
        stop.wait(POLL_SECONDS)
    note("stopping")
    for child in kept:
        child.signal(signal.SIGTERM)
    running = [child.process for child in kept if child.process]
    wait_until(lambda: all(process.poll() is not None for process in running), STOP_SECONDS)
    for child in kept:
        child.signal(signal.SIGKILL)
    remaining: list[psutil.Process] = with_environment(MARK, os.environ[MARK])
    stop_all(remaining, signal.SIGTERM, 3.0, signal.SIGKILL)
    note("stopped")


if __name__ == "__main__":
    main()
