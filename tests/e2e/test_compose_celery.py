"""A stack with a staging stack beside it; then on workers, its secrets in files, its connection in a secrets backend.

It may stand beside that of test_compose: its image has another name. One of the workers is that of another machine, as
docs/workers.md has it: another Compose project from another checkout, on a network of its own. The two have the landing
folder in common, and reach one another by published ports only.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.compose import (
    DAG,
    DOCKER,
    KILL_ALL,
    OWNER,
    Stack,
    compose_stack,
    let_old_rows_leave,
    marts,
    old_files,
    people,
    random_secrets,
    set_modes,
    wait_for,
    what_names_people,
)
from support.workers import overrides, run_as_shown, settings

from growth.preflight import DEFAULTS

pytestmark = [pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(1800)]

IMAGE = "growth-analytics:workers"
OVERRIDE = "docker-compose.override.yml"
BACKEND = "airflow.secrets.local_filesystem.LocalFilesystemBackend"
WAIT = """
create or replace function public.wait_here() returns trigger language plpgsql as
'begin perform pg_advisory_xact_lock(4711); return null; end'
"""
# the example of docs/secrets.md
CONNECTION_FILE = """
secrets:
  connections.json: {file: secrets/connections.json}
services:
  airflow-scheduler: &connections {secrets: [connections.json]}
  airflow-dag-processor: *connections
  airflow-worker: *connections
"""


@pytest.fixture(scope="module")
def variables() -> dict[str, str]:
    return {"GROWTH_IMAGE": IMAGE}


@pytest.fixture(scope="module")
def checkout(checkout: Path) -> Path:
    """Old rows leave raw from the first run on, so that those of a file of such days have to be brought back."""
    let_old_rows_leave(checkout, days=30)
    return checkout


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
        assert images == [IMAGE, "growth-analytics:staging"]


@pytest.fixture(scope="module")
def addresses(docker_engine: None) -> Iterator[tuple[str, str]]:
    """Addresses of the first machine and of the other one: of two bridges of this machine that connect nothing."""
    names = [f"growth-{name}-{os.getpid()}" for name in ("first", "other")]
    try:
        docker("network", "create", names[0])
        docker("network", "create", names[1])
        first, other = json.loads(docker("network", "inspect", *names))
        yield first["IPAM"]["Config"][0]["Gateway"], other["IPAM"]["Config"][0]["Gateway"]
    finally:
        subprocess.run([DOCKER, "network", "rm", *names], capture_output=True, check=False)


@pytest.fixture(scope="module")
def workers(stack: Stack, first_run: str, addresses: tuple[str, str]) -> Iterator[Stack]:
    """The stack with two workers and Flower, open to the other machine; nothing of it is left behind."""
    values = random_secrets()
    folder = stack.folder / "secrets"
    folder.mkdir()
    for name, value in values.items():
        (folder / name.lower()).write_text(value + "\n")
    connection = {"conn_type": "postgres", "host": "warehouse", "port": 5432, "schema": "growth"}
    passwords = {
        f"{role}_password": values[f"WAREHOUSE_{name}"]
        for role, name in (("growth", "PASSWORD"), ("ingest", "INGEST_PASSWORD"))
    }
    login = {"login": "transform", "password": values["WAREHOUSE_TRANSFORM_PASSWORD"], "extra": passwords}
    (folder / "connections.json").write_text(json.dumps({"warehouse": connection | login}))
    (stack.folder / "connections.yml").write_text(CONNECTION_FILE)
    (stack.folder / OVERRIDE).write_text(overrides(*addresses)[0])
    opened = dict(line.split("=") for line in settings(addresses[0]).splitlines())
    stack.address, stack.airflow_port = opened["BIND_ADDRESS"], int(opened["AIRFLOW_PORT"])
    stack.warehouse_port = int(opened["WAREHOUSE_PORT"])
    files = ("docker-compose.yml", "docker-compose.secrets.yml", "connections.yml", OVERRIDE)
    stack.set(
        **values,
        **opened,
        AIRFLOW_UID=str(OWNER),
        AIRFLOW_EXECUTOR="CeleryExecutor",
        AIRFLOW_SECRETS_BACKEND=BACKEND,
        AIRFLOW_SECRETS_BACKEND_KWARGS=json.dumps({"connections_file_path": "/run/secrets/connections.json"}),
        COMPOSE_FILE=":".join(files),
    )
    yield stack
    stack.compose("down", "--volumes", "--timeout", "5")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def other(workers: Stack, addresses: tuple[str, str]) -> Iterator[Stack]:
    """The other machine, which is not started yet."""
    folder = workers.folder.with_name("other")
    shutil.copytree(workers.folder, folder, ignore=shutil.ignore_patterns("landing"))
    (folder / OVERRIDE).write_text(overrides(*addresses)[1])
    own = {"COMPOSE_PROFILES": "celery", "WORKERS": "1", "WORKER_QUEUES": "load"}
    landing = {"GROWTH_LANDING": str(workers.folder / "landing")}
    with compose_stack(folder, "other", **workers.variables | own | landing) as machine:
        yield machine


def test_without_the_profile_nothing_starts(workers: Stack) -> None:
    workers.set(COMPOSE_PROFILES="")
    asked = workers.compose("run", "--rm", "--no-deps", "preflight", check=False)
    assert asked.returncode == 1
    assert "but the profile celery is off" in asked.stdout


def test_killed_and_stopped_workers_change_nothing(workers: Stack, other: Stack, tell: Callable[[str], None]) -> None:
    """The worker of the other machine dies in the middle of a load, and one of the first in the middle of dwh; nobody
    lends a hand. One is stopped, and ends its task."""
    workers.set(COMPOSE_PROFILES="celery,flower", WORKER_QUEUES="dbt,default")
    tell(f"stack with two workers healthy in {workers.up():.0f} s")
    before = marts(workers)
    begin = time.monotonic()
    run_as_shown(other, "--no-deps airflow-worker")
    tell(f"worker of the other machine started in {time.monotonic() - begin:.0f} s")
    forgotten = "delete from connection where conn_id = 'warehouse'"
    workers.compose("exec", "-T", "airflow-db", "psql", "-U", "airflow", "-c", forgotten)
    # copies of rows count once, so the marts stay as they are while every layer of the domain has work; the rows of
    # these days left raw
    left = old_files(workers)
    landed = sorted((workers.folder / "landing" / "sessions").glob("sessions_*.csv"))[0]
    assert f"sessions/{landed.name}" in left
    shutil.copy2(landed, landed.with_name("again.csv"))

    with held(workers, "raw.sessions"):
        run_id = workers.trigger(domains=["acquisition"])
        first = kill_worker_that_waits(workers, run_id, "ingest", "load_feed", other)
    with held(workers, "dwh.fct_sessions"):
        second = kill_worker_that_waits(workers, run_id, "transform", "run_dwh", workers)
        # the warehouse notices within ten seconds that nobody listens, and gives up the dead session's locks
        wait_for(lambda: not waits(workers, "transform"), 40)
    begin = time.monotonic()
    third = stop_worker_in(workers, run_id, "gate_dwh")
    tell(f"run finished {workers.finish(run_id, 400) + time.monotonic() - begin:.0f} s after its second death")

    assert marts(workers) == before
    instances = workers.task_instances(run_id)
    tries = {task["task_id"]: task["try_number"] for task in instances if task["try_number"] > 1}
    assert tries == {"load_feed": 2, "run_dwh": 2}
    loads = [task for task in instances if task["task_id"] in ("select_feeds", "load_feed")]
    assert {(task["queue"], task["hostname"]) for task in loads} == {("load", first)}
    assert {task["queue"] for task in instances if task["task_id"].startswith(("gate", "run"))} == {"dbt"}
    assert third in {task["hostname"] for task in instances if task["task_id"] == "gate_dwh"}
    hosts = {task["hostname"] for task in instances if task["hostname"]} | {first, second}
    here = {container["Config"]["Hostname"] for container in containers(workers, "airflow-worker")}
    there = [container["Config"]["Hostname"] for container in containers(other)]
    assert (hosts, len(here), there) == ({*here, first}, 2, [first]), "and nothing else was started there"
    logs = f"/dags/{DAG}/dagRuns/{run_id}/taskInstances"
    said = json.dumps(workers.api("GET", f"{logs}/run_dwh/logs/1"))
    assert "fct_sessions" in said, "the log of the try that was killed"
    said = json.dumps(workers.api("GET", f"{logs}/gate_raw/logs/1"))
    assert "sessions: bringing back" in said
    line = f"run_id={run_id} task_id=load_feed feed=sessions"
    [index] = [task["map_index"] for task in loads if task["try_number"] == 2]
    assert line in json.dumps(workers.api("GET", f"{logs}/load_feed/logs/2?map_index={index}")), "asked of its worker"
    assert workers.files_with([line], "/opt/airflow/logs") == []
    assert {"sessions/again.csv", *left} <= set(old_files(workers)), "and at its end they left again"


def test_flower_asks_for_a_login(workers: Stack) -> None:
    url = f"http://127.0.0.1:{workers.flower_port}/workers?json=1"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(url, timeout=20)
    login = base64.b64encode(f"airflow:{workers.variables['AIRFLOW_PASSWORD']}".encode()).decode()
    request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert len(json.load(answer)["data"]) == 3
    bindings = workers.inspect("flower")["NetworkSettings"]["Ports"].values()
    assert {each["HostIp"] for ports in bindings for each in ports or []} == {"127.0.0.1"}


def test_no_secret_stands_anywhere_else(workers: Stack, other: Stack) -> None:
    """Logs, processes, rendered templates, reports, databases, images: a value that is found was written down."""
    values = {workers.variables[name]: name for name in DEFAULTS}
    dump = {
        "Airflow's database": ("airflow-db", "pg_dump", "-U", "airflow", "airflow"),
        "published": ("warehouse", "pg_dump", "-U", "growth", "-n", "mart", "growth"),
    }
    texts = {
        "logs of the containers": workers.compose("logs", "--no-color").stdout,
        "logs of the other machine": other.compose("logs", "--no-color").stdout,
        "lists of processes": workers.compose("top").stdout,
        "docker inspect": json.dumps(containers(workers)),
        "docker inspect of the other machine": json.dumps(containers(other)),
        "docker history": docker("history", "--no-trunc", IMAGE),
        **{name: workers.compose("exec", "-T", *command).stdout for name, command in dump.items()},
    }
    for where, known in {
        "logs of the containers": "celery",
        "logs of the other machine": "celery",
        "lists of processes": "redis-server",
        "docker inspect": "/run/secrets/",
        "docker inspect of the other machine": "/run/secrets/",
        "docker history": "airflow-secret",
        "Airflow's database": '"op_kwargs": {"feed": "sessions"}',  # a rendered template
        "published": "mart.gate_results",
    }.items():
        assert known in texts[where], f"{where} were not searched"
    assert [(where, values[value]) for where, text in texts.items() for value in values if value in text] == []

    # the image, and the volumes with the logs of tasks, what dbt rendered and the reports; not /run/secrets
    for known, folder in (
        ("fct_sessions", "/opt/airflow/logs"),
        ("-- Grain: one row per", "/var/lib/growth/dbt"),
        ("dbt Docs", "/var/lib/growth-reports"),
        ("AIRFLOW_FERNET_KEY", "/opt/growth"),
    ):
        assert workers.files_with([known], folder) != [], f"{folder} was not searched"
    assert workers.files_with(values, "/etc", "/home", "/opt", "/root", "/srv", "/tmp", "/usr", "/var") == []
    folders = ("/home", "/opt/airflow", "/tmp", "/var")
    assert other.files_with(["task_id=load_feed"], *folders, service="airflow-worker") != []
    assert other.files_with(values, *folders, service="airflow-worker") == []


def test_what_is_kept_of_runs_names_nobody(workers: Stack, other: Stack) -> None:
    """Of all runs of this stack: those that were killed, and those that went well."""
    assert what_names_people(workers) == ["/var/lib/growth-reports/data-card.html"], "the first lines of the sample"
    known = people(workers)
    assert known & set(re.findall("[0-9]+", other.compose("logs", "--no-color").stdout)) == set()
    assert other.files_with(known, "/opt/airflow/logs", "/var/lib/growth", service="airflow-worker") == []


def test_the_way_back(workers: Stack, other: Stack, tell: Callable[[str], None]) -> None:
    """The scheduler runs the tasks again, with the data and the history of before."""
    before, known = marts(workers), {run["dag_run_id"] for run in workers.runs()}
    begin = time.monotonic()
    other.compose("down")
    tell(f"worker of the other machine taken out in {time.monotonic() - begin:.0f} s")
    begin = time.monotonic()
    del workers.variables["AIRFLOW_EXECUTOR"], workers.variables["COMPOSE_PROFILES"]
    run_as_shown(workers, "--profile flower down")
    tell(f"without workers again in {time.monotonic() - begin:.0f} s")
    services = {each["Config"]["Labels"]["com.docker.compose.service"] for each in containers(workers)}
    assert services & {"airflow-scheduler", "airflow-worker", "redis", "flower"} == {"airflow-scheduler"}
    landed = sorted((workers.folder / "landing" / "sessions").glob("sessions_*.csv"))[-1]
    shutil.copy2(landed, landed.with_name("once_more.csv"))
    run_id = workers.trigger(domains=["acquisition"])
    tell(f"run by the scheduler finished in {workers.finish(run_id):.0f} s")
    assert marts(workers) == before
    assert {run["dag_run_id"] for run in workers.runs()} > known
    hosts = {task["hostname"] for task in workers.task_instances(run_id) if task["hostname"]}
    assert hosts == {workers.inspect("airflow-scheduler")["Config"]["Hostname"]}
    with workers.connect("growth") as conn:
        loaded = conn.execute("select status from raw._loads where source_file = 'sessions/once_more.csv'").fetchall()
    assert loaded == [("loaded",)]


@contextmanager
def held(stack: Stack, table: str) -> Iterator[None]:
    """Let whoever inserts into the table wait; a lock of the table would already hold up what comes before."""
    with stack.connect("growth") as conn:
        conn.autocommit = True
        conn.execute(WAIT)
        conn.execute(f"create trigger held before insert on {table} execute function public.wait_here()".encode())
        conn.execute("select pg_advisory_lock(4711)")
        yield
        conn.execute("select pg_advisory_unlock(4711)")
        conn.execute(f"drop trigger held on {table}".encode())


def kill_worker_that_waits(stack: Stack, run_id: str, role: str, task_id: str, machine: Stack) -> str:
    """Kill the machine's worker whose task waits in what is held; returns its name when Docker has started it again."""
    wait_for(lambda: waits(stack, role), 300)
    task = wait_for(lambda: only_running(stack, run_id, task_id), 300)
    worker = worker_of(machine, task)
    subprocess.run([DOCKER, "exec", worker["Id"], "python", "-c", KILL_ALL], check=False)
    wait_for(lambda: json.loads(docker("inspect", worker["Id"]))[0]["RestartCount"] > worker["RestartCount"], 60)
    return str(task["hostname"])


def stop_worker_in(stack: Stack, run_id: str, task_id: str) -> str:
    """Stop the worker in the middle of a task, as `docker compose stop` does, and start it again; returns its name."""
    task = wait_for(lambda: only_running(stack, run_id, task_id), 300)
    worker = worker_of(stack, task)
    docker("stop", worker["Id"])
    assert json.loads(docker("inspect", worker["Id"]))[0]["State"]["ExitCode"] == 0, "killed when its time was over"
    assert stack.tasks(run_id)[task_id] == "success"
    docker("start", worker["Id"])
    return str(task["hostname"])


def worker_of(stack: Stack, task: dict[str, Any]) -> dict[str, Any]:
    [worker] = [each for each in containers(stack, "airflow-worker") if each["Config"]["Hostname"] == task["hostname"]]
    return worker


def waits(stack: Stack, role: str) -> bool:
    """Whether a session of the role waits in what is held."""
    with stack.connect("growth") as conn:
        found = "select from pg_stat_activity where usename = %s and wait_event = 'advisory'"
        return conn.execute(found, [role]).fetchone() is not None


def only_running(stack: Stack, run_id: str, task_id: str) -> dict[str, Any] | None:
    """The task's instance that runs, when the others have ended."""
    found = [task for task in stack.task_instances(run_id) if (task["task_id"], task["state"]) == (task_id, "running")]
    return found[0] if len(found) == 1 else None


def containers(stack: Stack, *services: str) -> list[dict[str, Any]]:
    names = stack.compose("ps", "--all", "--quiet", *services).stdout.split()
    return list(json.loads(docker("inspect", *names)))


def docker(*arguments: str) -> str:
    return subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=True).stdout
