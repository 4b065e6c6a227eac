"""A stack of docker-compose.yml of a test's own: a copy of the checkout, its own project name and free ports."""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from growth.preflight import DEFAULTS

ROOT = Path(__file__).resolve().parents[2]
# an older client without plug-ins may come first in PATH
DOCKER = "/usr/bin/docker" if Path("/usr/bin/docker").exists() else shutil.which("docker") or "docker"
NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".growth", ".env", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "target", "logs"),
    "secrets",
)
HEALTHY_SECONDS = 600  # of a busy machine
# below those of outgoing connections: a service listens long after its port was chosen; another process has others
PORTS = range(
    20000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")),
    32000,
    int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")),
)
_chosen: set[int] = set()
DAG = "growth_daily"
DAILY = 'schedule="0 4 * * *"'
OWNER = 1234 if os.geteuid() == 0 else os.geteuid()
MARTS = {
    "channel_attribution": "select * from mart.channel_attribution order by 1, 2, 3",
    "channel_conversion": "select * from mart.channel_conversion order by 1",
    "acquisition_daily": "select * from mart.acquisition_daily order by 1, 2",
}
OLD_FILES = """
select source_file, path, (select count(*) from raw.sessions where _load_id = load_id)
from raw._cold_files inner join raw._loads using (load_id) where aged_at is not null
"""
# all but pid 1, which a signal from inside does not reach, and this process; pid 1 then ends by itself
KILL_ALL = """
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        os.kill(int(name), signal.SIGKILL)
"""


def missing_engine() -> str:
    """Why no Compose stack can be run here; empty when one can."""
    for command in (["info"], ["compose", "version"]):
        try:
            done = subprocess.run([DOCKER, *command], capture_output=True, text=True, timeout=60, check=False)
        except OSError as error:
            return f"no docker: {error.strerror}"
        if done.returncode:
            return f"docker {' '.join(command)}: {done.stderr.strip()}"
    return ""


def free_port() -> int:
    """A port of the loopback address that nobody listens on, and that no outgoing connection takes meanwhile."""
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _chosen:
                _chosen.add(port)
                return port


def copy_checkout(folder: Path, *, owner: int | None = None, private: bool = False) -> Path:
    """Copy the project with an empty landing folder.

    Args:
        folder: where to, must not exist.
        owner: as root, give the copy to this user id and group id.
        private: as for ``set_modes``.
    """
    shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
    for name in ("backups", "landing", "reports", "sharing"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
        (folder / name / ".gitkeep").touch()
    for path in (folder, *folder.rglob("*")):
        if owner is not None and os.geteuid() == 0:
            os.chown(path, owner, owner, follow_symlinks=False)
    run_half_a_day_from_now(folder)
    set_modes(folder, private=private)
    return folder


def run_half_a_day_from_now(folder: Path) -> None:
    """Move the daily run of the copy: one that no test triggered takes the turn of one that a test waits for."""
    dag = folder / "dags" / f"{DAG}.py"
    text = dag.read_text()
    assert text.count(DAILY) == 1
    hour = (datetime.now(UTC).hour + 12) % 24
    dag.write_text(text.replace(DAILY, f'schedule="0 {hour} * * *"'))


def set_modes(folder: Path, *, private: bool) -> None:
    """Let everybody read a folder; or take all rights from group and others, as a umask of 077 does."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode & ~0o077 if private else mode | (0o055 if mode & 0o100 else 0o044))


@dataclass
class Stack:
    """One Compose project; the environment holds nothing that the test did not set.

    ``env_file`` is what ``--env-file`` names, below the folder; what ``variables`` and the ports say goes before it.
    ``address`` is where the test reaches Airflow and the warehouse.
    """

    project: str
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    env_file: str = ""
    address: str = "127.0.0.1"
    airflow_port: int = field(default_factory=free_port)
    warehouse_port: int = field(default_factory=free_port)
    reports_port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    shared_port: int = field(default_factory=free_port)
    flower_port: int = field(default_factory=free_port)
    prometheus_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    _token: str = ""

    def compose(self, *arguments: str, check: bool = True, said: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a Compose command, with ``said`` on standard input; what it printed becomes part of the error."""
        kept = {name: value for name in ("PATH", "HOME", "DOCKER_HOST") if (value := os.environ.get(name))}
        ports = {
            "AIRFLOW_PORT": str(self.airflow_port),
            "WAREHOUSE_PORT": str(self.warehouse_port),
            "REPORTS_PORT": str(self.reports_port),
            "DASHBOARD_PORT": str(self.dashboard_port),
            "SHARED_PORT": str(self.shared_port),
            "FLOWER_PORT": str(self.flower_port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "METRICS_PORT": str(self.metrics_port),
        }
        env_file = ["--env-file", self.env_file] if self.env_file else []
        done = subprocess.run(
            [DOCKER, "compose", "--project-name", self.project, "--progress", "plain", *env_file, *arguments],
            cwd=self.folder,
            env={**kept, **ports, **self.variables},
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"docker compose {' '.join(arguments)} failed:\n{done.stdout[-3000:]}\n{self.what_failed()}"
            )
        return done

    def what_failed(self) -> str:
        """The last words of every container, and at the end of those that are not as they should be."""
        listed = self.compose("ps", "--all", "--format", "{{.Service}}\t{{.ExitCode}}\t{{.Status}}", check=False).stdout
        rows = [line.split("\t") for line in listed.splitlines() if line.count("\t") == 2]
        bad = [name for name, code, status in rows if code != "0" or "unhealthy" in status or "starting" in status]
        rest = [name for name, *_ in rows if name not in bad]
        logs = [
            self.compose("logs", "--no-color", "--tail", str(lines), *names, check=False).stdout[-letters:]
            for names, lines, letters in ((rest, 10, 5000), (bad, 200, 15000))
            if names
        ]
        return "\n".join([*logs, listed])

    def up(self) -> float:
        """Start everything and wait until it is healthy; returns how many seconds that took."""
        begin = time.monotonic()
        self.compose("up", "--detach", "--wait", "--wait-timeout", str(HEALTHY_SECONDS))
        return time.monotonic() - begin

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container, running or not."""
        container = self.compose("ps", "--all", "--quiet", service).stdout.split()
        assert container, f"no container of {service}"
        answer = subprocess.run([DOCKER, "inspect", container[0]], capture_output=True, text=True, check=True)
        return dict(json.loads(answer.stdout)[0])

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Ask Airflow's REST interface on the published port, logged in as airflow."""
        if not self._token:
            login = {"username": "airflow", "password": self.variables.get("AIRFLOW_PASSWORD", "airflow")}
            self._token = self._request("POST", "/auth/token", login)["access_token"]
        return self._request(method, f"/api/v2{path}", body)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = urllib.request.Request(
            f"http://{self.address}:{self.airflow_port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()[:2000]}") from error

    def runs(self) -> list[dict[str, Any]]:
        """All runs of the DAG."""
        return list(self.api("GET", f"/dags/{DAG}/dagRuns?limit=100")["dag_runs"])

    def trigger(self, **params: Any) -> str:
        """Start a run; returns its id."""
        return str(self.api("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": params})["dag_run_id"])

    def tasks(self, run_id: str) -> dict[str, str | None]:
        """State of each task of a run; of a mapped task the last one listed."""
        return {task["task_id"]: task["state"] for task in self.task_instances(run_id)}

    def task_instances(self, run_id: str) -> list[dict[str, Any]]:
        """Everything that Airflow knows of the tasks of a run."""
        return list(self.api("GET", f"/dags/{DAG}/dagRuns/{run_id}/taskInstances?limit=100")["task_instances"])

    def finish(self, run_id: str, timeout_seconds: float = 900) -> float:
        """Wait until a run succeeds; returns how many seconds that took from now.

        Raises:
            AssertionError: it fails or takes too long; the text has the state of each task.
        """
        begin = time.monotonic()

        def ended() -> str | None:
            state = self.api("GET", f"/dags/{DAG}/dagRuns/{run_id}")["state"]
            return state if state in ("success", "failed") else None

        try:
            state = wait_for(ended, timeout_seconds)
        except TimeoutError:
            state = "not finished"
        if state != "success":
            logs = self.compose("logs", "--no-color", "--tail", "200", "airflow-scheduler", check=False).stdout
            raise AssertionError(f"run {run_id} is {state}: {self.tasks(run_id)}\n{logs[-20000:]}")
        return time.monotonic() - begin

    def connect(self, role: str, password: str | None = None) -> psycopg.Connection:
        """Connect to the warehouse on its published port, with the role's password of now if no other is given."""
        variable = "WAREHOUSE_PASSWORD" if role == "growth" else f"WAREHOUSE_{role.upper()}_PASSWORD"
        return psycopg.connect(
            host=self.address,
            port=self.warehouse_port,
            dbname="growth",
            user=role,
            password=password or self.variables.get(variable, role),
            connect_timeout=10,
        )

    def files_with(self, texts: Iterable[str], *folders: str, service: str = "airflow-scheduler") -> list[str]:
        """The files of a container and its volumes in which one of the texts stands, sought as root.

        Raises:
            AssertionError: not all of them could be read.
        """
        search = [service, "grep", "-rlF", "-f", "-", *folders]
        done = self.compose("exec", "-T", "--user", "0", "--privileged", *search, check=False, said="\n".join(texts))
        lines = [line for line in done.stdout.splitlines() if not line.endswith("No such file or directory")]
        assert [line for line in lines if not line.startswith("/")] == []
        return lines

    def set(self, **variables: str) -> None:
        """Change the environment for the commands that follow, and log in anew."""
        self.variables.update(variables)
        self._token = ""


def marts(stack: Stack) -> dict[str, list[str]]:
    """What is published, row by row."""
    with stack.connect("analyst") as conn:
        return {name: [str(row) for row in conn.execute(query.encode())] for name, query in MARTS.items()}


def let_old_rows_leave(checkout: Path, days: int) -> None:
    """Edit the contract of sessions as docs/feeds.md says: the next run moves what is older out of raw."""
    contract = checkout / "ingest" / "feeds" / "acquisition" / "sessions.yml"
    text = contract.read_text()
    assert "raw_days" not in text
    contract.write_text(text.replace("key: ", f"retention: {{raw_days: {days}}}\nkey: ", 1))


def old_files(stack: Stack) -> list[str]:
    """Delivered files whose rows left raw; of each, and of nothing else, there is a file in the volume growth-state."""
    with stack.connect("growth") as conn:
        left = conn.execute(OLD_FILES).fetchall()
    listed = ["airflow-scheduler", "find", "/var/lib/growth/cold", "-type", "f", "-printf", "%P\\n"]
    kept = stack.compose("exec", "-T", *listed, check=False).stdout.split() if left else []
    assert sorted(kept) == sorted(path for _, path, _ in left)
    assert sum(in_raw for *_, in_raw in left) == 0
    return sorted(source_file for source_file, *_ in left)


def people(stack: Stack) -> set[str]:
    """The ids of the sessions that have landed."""
    landed = [path.read_text() for path in (stack.folder / "landing" / "sessions").glob("*.csv")]
    found = {line.split(",")[0] for text in landed for line in text.splitlines()[1:]}
    assert len(found) > 1000
    assert min(map(len, found)) > 12, "the same text as many a number"
    return found


def what_names_people(stack: Stack) -> list[str]:
    """What is kept of runs and has an id of somebody: Airflow's database, logs of containers, files of volumes."""
    known = people(stack)
    texts = {
        # XCom, rendered templates, what happened
        "airflow-db": stack.compose("exec", "-T", "airflow-db", "pg_dump", "-U", "airflow", "airflow").stdout,
        "logs": stack.compose("logs", "--no-color").stdout,
    }
    found = [name for name, text in texts.items() if known & set(re.findall("[0-9]+", text))]
    return found + stack.files_with(known, "/opt/airflow/logs", "/var/lib/growth", "/var/lib/growth-reports")


def random_secrets() -> dict[str, str]:
    """A value of its own for every secret of the stack that has a default, found nowhere by chance."""
    values = {name: secrets.token_urlsafe(48) for name in DEFAULTS}
    return values | {"AIRFLOW_FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode()}


@contextmanager
def compose_stack(folder: Path, name: str, *, env_file: str = "", **variables: str) -> Iterator[Stack]:
    """A built stack that is not started yet; whatever happens, all of it is removed at the end, volumes included."""
    stack = Stack(f"growth-{name}-{os.getpid()}", folder, variables, env_file)
    try:
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5", check=False)


def wait_for(what: Callable[[], Any], timeout_seconds: float) -> Any:
    """Ask again until the answer is true; a connection that is refused meanwhile counts as false.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            if answer := what():
                return answer
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {timeout_seconds:.0f} s")
        time.sleep(0.5)
