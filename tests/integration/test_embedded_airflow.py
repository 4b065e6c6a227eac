"""Airflow without Docker: real processes, on a tiny DAG of this test."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from embedded.errors import EmbeddedError
from embedded.metadata import MARK, airflow_environment, commands_to_migrate
from embedded.place import home_key
from embedded.processes import wait_until, with_environment
from embedded.run import run_dag
from embedded.server import EmbeddedPostgres
from embedded.stack import AirflowStack, run_lock
from growth.settings import Warehouse

DAG_FILE = """
import time
from datetime import timedelta
from airflow.sdk import DAG, Param, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

with DAG("tiny", schedule=None, params={"mode": Param("good", type="string")}):

    def mode():
        return get_current_context()["params"]["mode"]

    @task
    def feeds():
        return ["one", "two"]

    @task(retries=1, retry_delay=timedelta(seconds=1), map_index_template="{{ feed }}")
    def load(feed):
        context = get_current_context()
        context["feed"] = feed
        if feed == "two" and mode() == "lost" and context["ti"].try_number == 1:
            raise RuntimeError("lost connection")
        if feed == "two" and mode() == "refused":
            raise AirflowFailException("two.csv: line 3 is refused")
        if mode() == "slow":
            time.sleep(300)

    @task
    def publish():
        print("published")

    @task
    def report():
        print("reported")

    last = report()
    last.operator.as_teardown()
    load.expand(feed=feeds()) >> publish() >> last
"""

RUN = """
import json, sys
from pathlib import Path
from embedded.run import run_dag
from embedded.server import EmbeddedPostgres
home, project = Path(sys.argv[1]), Path(sys.argv[2])
sys.exit(run_dag(home, EmbeddedPostgres(home).start(), json.loads(sys.argv[3]), home / "run.log", "tiny", project))
"""


@pytest.fixture(autouse=True)
def _no_other_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WAREHOUSE_") or name == "AIRFLOW_PORT"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def project() -> Iterator[Path]:
    """A folder with the tiny DAG and, in ``home``, what it runs on."""
    folder = Path(tempfile.mkdtemp(prefix="growth-test-"))
    folder.chmod(0o755)
    (folder / "dags").mkdir()
    (folder / "dags" / "tiny.py").write_text(DAG_FILE)
    yield folder
    AirflowStack(folder / "home", None).down()
    EmbeddedPostgres(folder / "home").purge()
    shutil.rmtree(folder)


@pytest.fixture
def home(project: Path) -> Path:
    return project / "home"


@pytest.fixture
def warehouse(home: Path) -> Warehouse:
    return EmbeddedPostgres(home).start()


def states(home: Path) -> list[tuple[str, str]]:
    """Tasks and their states in the newest run, by name."""
    with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo()) as conn:
        return conn.execute(
            "select task_id || coalesce(' ' || rendered_map_index, ''), state from task_instance "
            "where run_id = (select run_id from dag_run order by id desc limit 1) order by 1"
        ).fetchall()


def run_states(home: Path) -> set[str]:
    with psycopg.connect(EmbeddedPostgres(home).metadata_conninfo()) as conn:
        return {state for (state,) in conn.execute("select state from dag_run")}


def processes(home: Path, word: str, parent: int | None = None) -> list[psutil.Process]:
    """Those of a home with a word in their command line; of one parent, because they fork others with the same."""
    found = []
    for process in with_environment(MARK, home_key(home)):
        with suppress(psutil.Error):  # just gone, or a zombie
            if word in process.cmdline() and parent in (None, process.ppid()):
                found.append(process)
    return found


def test_run_succeeds_after_a_retry_and_names_every_task(
    home: Path, project: Path, warehouse: Warehouse, capfd: pytest.CaptureFixture[str]
) -> None:
    assert commands_to_migrate(home, with_login=False) == [["db", "migrate"]]
    assert run_dag(home, warehouse, {"mode": "lost"}, home / "logs" / "good.log", "tiny", project) == 0
    said = capfd.readouterr()
    assert said.out == ""
    assert "load[one]: done" in said.err
    assert "failed, will be tried again" in said.err
    assert "RuntimeError: lost connection" in said.err
    assert "published" in (home / "logs" / "good.log").read_text()
    assert dict(states(home)) == dict.fromkeys(["feeds", "load one", "load two", "publish", "report"], "success")
    assert commands_to_migrate(home, with_login=False) == [], "the next run does not pay for it"


def test_failed_run_stops_what_follows_and_says_why(
    home: Path, project: Path, warehouse: Warehouse, capfd: pytest.CaptureFixture[str]
) -> None:
    log = home / "logs" / "bad.log"
    assert run_dag(home, warehouse, {"mode": "refused"}, log, "tiny", project) == 1
    said = capfd.readouterr().err
    assert "load[two]: failed" in said
    assert "two.csv: line 3 is refused" in said
    assert "Traceback" not in said
    assert str(log) in said
    assert dict(states(home)) == {
        "feeds": "success",
        "load one": "success",
        "load two": "failed",
        "publish": "upstream_failed",
        "report": "success",
    }


def test_terminated_run_leaves_neither_processes_nor_an_open_run(
    home: Path, project: Path, warehouse: Warehouse
) -> None:
    command = [sys.executable, "-c", RUN, str(home), str(project), json.dumps({"mode": "slow"})]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as runner:
        assert runner.stderr is not None
        for line in runner.stderr:
            if "load ..." in line:
                break
        with pytest.raises(EmbeddedError, match="another run"):
            run_dag(home, warehouse, {}, home / "second.log", "tiny", project)
        children = psutil.Process(runner.pid).children(recursive=True)
        assert children
        runner.send_signal(signal.SIGTERM)
        runner.communicate(timeout=60)
        assert runner.returncode == 130
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    assert "running" not in run_states(home), "a scheduler would go on with it"


def test_environment_names_one_set_of_secrets(home: Path, project: Path, warehouse: Warehouse) -> None:
    one, two = (airflow_environment(home, warehouse, project) for _ in range(2))
    assert one == two
    assert (home / "airflow" / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert one["PATH"].startswith(str(Path(sys.executable).parent))
    connection = json.loads(one["AIRFLOW_CONN_WAREHOUSE"])
    assert (connection["login"], connection["port"], connection["schema"]) == ("transform", warehouse.port, "growth")


def test_external_warehouse_keeps_its_password_to_itself(
    home: Path, project: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_HOST", "warehouse.example")
    monkeypatch.setenv("WAREHOUSE_PASSWORD", "elsewhere")
    elsewhere = Warehouse.from_environment()
    assert elsewhere is not None
    EmbeddedPostgres(home).start()
    variables = airflow_environment(home, elsewhere, project)
    assert variables["WAREHOUSE_HOST"] == "warehouse.example"
    assert f"@127.0.0.1:{warehouse.port}/airflow" in variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    psycopg.connect(warehouse.conninfo()).close()  # the embedded owner's password is what it was


def test_stack_is_healthy_logs_in_runs_and_leaves_nothing(
    home: Path, project: Path, warehouse: Warehouse, capfd: pytest.CaptureFixture[str]
) -> None:
    stack = AirflowStack(home, warehouse, project)
    with run_lock(home), pytest.raises(EmbeddedError, match="another run"):
        stack.up()
    stack.up()
    assert f"{stack.url}   login: airflow / airflow" in capfd.readouterr().err
    assert all(stack.health()[name]["status"] == "healthy" for name in ("scheduler", "triggerer", "dag_processor"))
    login = json.dumps({"username": "airflow", "password": "airflow"}).encode()
    request = urllib.request.Request(f"{stack.url}/auth/token", login, {"Content-Type": "application/json"})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        assert json.load(answer)["access_token"]
    listening = set()
    for process in with_environment(MARK, home_key(home)):
        with suppress(psutil.Error):  # just gone
            listening |= {each.laddr.ip for each in process.net_connections("inet") if each.status == "LISTEN"}
    assert listening == {"127.0.0.1"}

    # beside a scheduler, a run goes through it
    assert run_dag(home, warehouse, {"mode": "good"}, home / "logs" / "beside.log", "tiny", project) == 0
    assert "growth_run__" in capfd.readouterr().err

    [supervisor] = processes(home, "embedded.supervisor")
    [triggerer] = processes(home, "triggerer", supervisor.pid)
    triggerer.kill()
    triggerer.wait(10)
    assert wait_until(lambda: bool(processes(home, "triggerer", supervisor.pid)), 30), "the supervisor starts it again"

    supervisor.kill()
    supervisor.wait(10)
    assert with_environment(MARK, home_key(home)), "its children outlive a killed supervisor"
    stack.down()
    assert with_environment(MARK, home_key(home)) == []
