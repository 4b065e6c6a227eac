"""Before anything of the Docker stack starts: refuse what would be unsafe, or fail later with a riddle.

Run by the one-shot service ``preflight``, on which the databases wait.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from growth.settings import PROJECT_ROOT

# variable → the development default that docker-compose.yml falls back to
DEFAULTS = {
    "WAREHOUSE_PASSWORD": "growth",
    "WAREHOUSE_INGEST_PASSWORD": "ingest",
    "WAREHOUSE_TRANSFORM_PASSWORD": "transform",
    "WAREHOUSE_ANALYST_PASSWORD": "analyst",
    "AIRFLOW_PASSWORD": "airflow",
    "AIRFLOW_DB_PASSWORD": "airflow",
    "AIRFLOW_SECRET_KEY": "growth-development-secret-key-for-loopback-only-never-on-an-open-address",
    "AIRFLOW_FERNET_KEY": "Z3Jvd3RoLWRldmVsb3BtZW50LWtleS0zMi1ieXRlcyE=",
    "GRAFANA_PASSWORD": "grafana",
    "REDIS_PASSWORD": "redis",
}
WORKERS_ONLY = ("REDIS_PASSWORD",)
OPENED_BY = {"GRAFANA_PASSWORD": "GRAFANA_ADDRESS"}  # all others: BIND_ADDRESS
LOCAL, CELERY = "LocalExecutor", "CeleryExecutor"
MOUNTED = ("dags", "dbt_project", "ingest/feeds", "landing")  # beside docker, of which the image has a copy
MADE = {"__pycache__", "target", "logs"}  # folders of programs that ran in the checkout
SOURCES = (".py", ".sql", ".yml", ".csv")  # what is read of the first three


def unsafe_defaults(environment: Mapping[str, str]) -> list[str]:
    """Variables that keep their default although the address of what they are for lets other machines in."""
    left = [
        name
        for name, default in DEFAULTS.items()
        if environment.get(name, default) in ("", default)
        and not _is_loopback(environment.get(OPENED_BY.get(name, "BIND_ADDRESS")) or "127.0.0.1")
    ]
    return [name for name in left if name not in WORKERS_ONLY or _executor(environment) == CELERY]


def executor_without_workers(environment: Mapping[str, str], has_broker: bool) -> str:
    """Why the tasks would find no worker, or workers no task; empty where executor and profile fit.

    Args:
        environment: says the executor.
        has_broker: whether the profile celery is on: its broker runs.
    """
    executor = _executor(environment)
    if executor not in (LOCAL, CELERY):
        return f"AIRFLOW_EXECUTOR={executor} is not supported: {LOCAL} or {CELERY}."
    if executor == CELERY and not has_broker:
        return (
            f"AIRFLOW_EXECUTOR={CELERY}, but the profile celery is off: no worker would run a task. Add celery to "
            "COMPOSE_PROFILES in .env, or unset AIRFLOW_EXECUTOR."
        )
    if executor == LOCAL and has_broker:
        return (
            "The profile celery is on, or its containers still run, but no task would reach a worker: set "
            f"AIRFLOW_EXECUTOR={CELERY} in .env. To go back to {LOCAL}, take celery out of COMPOSE_PROFILES and stop "
            "its containers first: `docker compose --profile celery --profile flower down`."
        )
    return ""


def has_broker() -> bool:
    """Whether the service ``redis`` runs beside this one."""
    try:
        socket.create_connection(("redis", 6379), timeout=3).close()
    except OSError:
        return False
    return True


def comments(environment: Mapping[str, str]) -> list[str]:
    """Variables whose value is a comment: Compose drops one behind a value only, not where there is none."""
    return sorted(name for name, value in environment.items() if value.startswith("# "))


def wrong_address(environment: Mapping[str, str]) -> str:
    """What is wrong with Airflow's address; empty where nothing is. Its tasks look for the API at the root of it."""
    address = environment.get("AIRFLOW__API__BASE_URL", "")
    if address and not address.startswith(("http://", "https://")):
        return "does not begin with http:// or https://"
    path = urlsplit(address).path.strip("/")
    return f"has a path, /{path}, and no task would find Airflow: give it a name or port instead" if path else ""


def _executor(environment: Mapping[str, str]) -> str:
    return environment.get("AIRFLOW__CORE__EXECUTOR") or LOCAL


def unreadable(folders: Iterable[Path], user_id: int) -> list[Path]:
    """Mounted folders that the stack's user may not read, or not every source below; in landing, files are data."""
    return [
        folder for folder in folders if folder.exists() and not all(map(partial(_may_read, user_id), _below(folder)))
    ]


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.name != "landing":
        for path in folder.rglob("*"):
            is_made = MADE.intersection(path.relative_to(folder).parts)
            if not is_made and (path.is_dir() or (path.suffix in SOURCES and path.exists())):  # no link to nothing
                yield path


def _may_read(user_id: int, path: Path) -> bool:
    found = path.stat()
    owner, group, others = stat.S_IRUSR, stat.S_IRGRP, stat.S_IROTH
    if path.is_dir():
        owner, group, others = owner | stat.S_IXUSR, group | stat.S_IXGRP, others | stat.S_IXOTH
    wanted = owner if found.st_uid == user_id else group if found.st_gid == 0 else others
    return found.st_mode & wanted == wanted


def _opened(environment: Mapping[str, str]) -> str:
    addresses = {name: environment.get(name) or "127.0.0.1" for name in ("BIND_ADDRESS", *OPENED_BY.values())}
    return ", ".join(f"{name}={address}" for name, address in addresses.items() if not _is_loopback(address))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def main() -> int:
    """Exit code 1 and a reason on standard error when the stack must not start."""
    faults = []
    if defaults := unsafe_defaults(os.environ):
        faults.append(
            f"{_opened(os.environ)} lets other machines in, but these still have their development defaults: "
            f"{', '.join(defaults)}. Set them in .env (.env.example says how)."
        )
    if commented := comments(os.environ):
        faults.append(
            f"{', '.join(commented)}: the value is a comment. In .env, put it on a line of its own, above the variable."
        )
    if wrong := wrong_address(os.environ):
        faults.append(f"GROWTH_AIRFLOW_URL {wrong}.")
    if mismatch := executor_without_workers(os.environ, has_broker()):
        faults.append(mismatch)
    user_id = int(os.environ.get("AIRFLOW_UID") or 50000)
    if closed := unreadable((PROJECT_ROOT / name for name in MOUNTED), user_id):
        names = " ".join(str(folder.relative_to(PROJECT_ROOT)) for folder in closed)
        faults.append(
            f"The user of the containers ({user_id}) may not read: {names}. Either `chmod -R a+rX docker {names}`, "
            "or run them as yourself: `echo AIRFLOW_UID=$(id -u) >> .env` (rootless Docker, podman: AIRFLOW_UID=0)."
        )
    for fault in faults:
        print(f"preflight: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
