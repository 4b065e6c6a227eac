"""Airflow's four processes on this machine, supervised, for the web interface."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from embedded.airflow_main import LOGIN
from embedded.databases import ADDRESS
from embedded.errors import EmbeddedError, last_lines
from embedded.files import locked, make_folder, open_log, read_json
from embedded.metadata import MARK, airflow_environment, fail_abandoned_runs, migrate, web_port
from embedded.place import home_key
from embedded.processes import alive, living, stop_all, with_environment
from embedded.progress import say
from embedded.server import EmbeddedPostgres, is_free
from growth.settings import DASHBOARD_PORT, PORTAL_PORT, PROJECT_ROOT, Warehouse

PORTS_TRIED = 100
HEALTHY_SECONDS = 240.0
STOP_SECONDS = 45.0
HEARTBEATS = ("scheduler", "triggerer", "dag_processor")


def run_lock(
    home: Path, timeout_seconds: float = 0.0, tell: Callable[[], None] | None = None
) -> AbstractContextManager[int]:
    """Held by a run in a process of its own, and while the stack starts: two writers would spoil each other's run."""
    make_folder(home / "airflow")
    return locked(
        home / "airflow" / "run.lock",
        timeout_seconds,
        f"another run in {home} is going on, or Airflow is starting there: wait for its end",
        tell,
    )


class AirflowStack:
    """The api-server, scheduler, dag-processor and triggerer of one home folder."""

    def __init__(self, home: Path, warehouse: Warehouse | None, project: Path = PROJECT_ROOT) -> None:
        """Name the stack; nothing is started yet.

        Args:
            home: its folder, with the embedded server that holds Airflow's metadata.
            warehouse: what the DAGs write to; None where the stack is only to be stopped.
            project: the repository, with ``dags/``.
        """
        self.home = home.absolute()
        self.log = self.home / "logs" / "airflow" / "supervisor.log"
        self._warehouse = warehouse
        self._project = project
        self._state = self.home / "airflow" / "supervisor.json"

    @property
    def url(self) -> str:
        """Address of the web interface, without a slash at the end."""
        return f"http://{ADDRESS}:{read_json(self._state).get('port') or web_port()}"

    def environment(self, port: int | None = None) -> dict[str, str]:
        """The environment of a command beside the running stack, or of a stack on this port."""
        if self._warehouse is None:
            raise EmbeddedError("no warehouse was given")
        return airflow_environment(
            self.home, self._warehouse, self._project, port or read_json(self._state).get("port") or web_port()
        )

    def is_running(self) -> bool:
        """Whether the supervisor of this home runs."""
        return self._supervisor() is not None

    def up(self) -> None:
        """Start all processes where they do not run, and wait until each is healthy; says the address and login.

        The DAGs are not paused: the scheduler at once makes the run that the schedule says was due last.

        Raises:
            EmbeddedError: one is not healthy in time; the text has the last lines of the log. All are stopped again.
        """
        EmbeddedPostgres(self.home).start()
        with self._lock():
            supervisor = self._supervisor()
            if supervisor:
                self._wait_healthy(datetime.min.replace(tzinfo=UTC), supervisor, int(read_json(self._state)["port"]))
            else:
                with run_lock(self.home):
                    self._stop_processes()  # orphans of a killed supervisor
                    fail_abandoned_runs(self.home)
                    self._start()
        say(f"Airflow: {self.url}   login: {LOGIN} / {LOGIN}")

    def down(self) -> None:
        """Stop all processes and wait, those of a supervisor that was killed included.

        Raises:
            EmbeddedError: one did not end.
        """
        if self._state.parent.exists():
            with self._lock():
                self._stop_processes()

    def health(self) -> dict[str, dict[str, str | None]]:
        """What ``/api/v2/monitor/health`` says; empty while nothing answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback is never behind a proxy
        try:
            with opener.open(f"{self.url}/api/v2/monitor/health", timeout=5) as response:
                answer = json.load(response)
        except (OSError, ValueError):
            return {}
        return answer if isinstance(answer, dict) else {}

    def _lock(self) -> AbstractContextManager[int]:
        make_folder(self.home / "airflow")
        return locked(
            self.home / "airflow" / "stack.lock",
            300.0,
            f"another command is still starting or stopping Airflow in {self.home}",
        )

    def _supervisor(self) -> psutil.Process | None:
        pid = read_json(self._state).get("pid")
        process = living(int(pid)) if pid else None
        try:
            ours = process is not None and process.environ().get(MARK) == home_key(self.home)
        except psutil.Error:
            ours = False
        return process if ours else None

    def _start(self) -> None:
        wanted = web_port()
        ports = [
            port for port in range(wanted, wanted + PORTS_TRIED) if port not in {DASHBOARD_PORT, PORTAL_PORT} - {wanted}
        ]
        port = next(filter(is_free, ports), None)
        if port is None:
            raise EmbeddedError(f"no free port from {wanted} to {wanted + PORTS_TRIED - 1} on {ADDRESS}")
        if port != wanted:
            say(f"Port {wanted} is taken: Airflow gets {port} (AIRFLOW_PORT chooses another).")
        environment = self.environment(port)
        say("Starting Airflow ...")
        migrate(self.home, environment)
        begin = datetime.now(UTC)
        log = open_log(self.log)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "embedded.supervisor", str(self._state), str(port)],
                env={**environment, MARK: home_key(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        finally:
            os.close(log)
        try:
            self._wait_healthy(begin, psutil.Process(process.pid), port)
        except BaseException:
            self._stop_processes()
            raise

    def _wait_healthy(self, begin: datetime, supervisor: psutil.Process, port: int) -> None:
        end = time.monotonic() + HEALTHY_SECONDS
        missing: list[str] = []
        while time.monotonic() < end and alive(supervisor):
            if read_json(self._state).get("port") == port:
                missing = _unhealthy(self.health(), begin)
                if not missing:
                    return
            time.sleep(0.5)
        waited = f"not healthy after {HEALTHY_SECONDS:.0f} s: {', '.join(missing)}" if missing else "did not start"
        logs = [self.log, *(self.log.with_name(f"{name.replace('_', '-')}.log") for name in missing)]
        ends = "\n".join(f"the end of {log}:\n{last_lines(log)}" for log in logs)
        raise EmbeddedError(f"Airflow: {waited}\n{ends}")

    def _stop_processes(self) -> None:
        supervisor = self._supervisor()
        if supervisor:
            stop_all([supervisor], signal.SIGTERM, STOP_SECONDS, signal.SIGKILL)
        remaining = with_environment(MARK, home_key(self.home))
        if not stop_all(remaining, signal.SIGTERM, 10.0, signal.SIGKILL):
            pids = ", ".join(str(process.pid) for process in remaining if alive(process))
            raise EmbeddedError(f"processes of Airflow do not stop: {pids}")
        self._state.unlink(missing_ok=True)


def _unhealthy(health: dict[str, dict[str, str | None]], begin: datetime) -> list[str]:
    """The parts that are not healthy; a heartbeat of an earlier start does not count."""
    if not health:
        return ["api_server"]
    missing = [] if health.get("metadatabase", {}).get("status") == "healthy" else ["metadatabase"]
    for name in HEARTBEATS:
        part = health.get(name) or {}
        beat = part.get(f"latest_{name}_heartbeat")
        if part.get("status") != "healthy" or not beat or datetime.fromisoformat(beat) < begin:
            missing.append(name)
    return missing
