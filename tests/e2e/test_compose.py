"""The stack as a stranger starts it: no .env, no make, nothing landed. The tests follow one another on one stack."""

from __future__ import annotations

import http.client
import re
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support import monitoring, sharing
from support.browser import Reader, chromium
from support.compose import (
    DAG,
    KILL_ALL,
    OWNER,
    ROOT,
    Stack,
    let_old_rows_leave,
    marts,
    old_files,
    random_secrets,
    wait_for,
    what_names_people,
)
from support.documents import commands

AIRFLOW = ("airflow-apiserver", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer")
ERASE = ROOT / "docs" / "runbooks" / "erase-a-person.md"
VOLUMES = ("/opt/airflow/logs", "/opt/growth/landing", "/var/lib/growth", "/var/lib/growth-reports")

pytestmark = [pytest.mark.usefixtures("docker_engine"), pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def shared(stack: Stack, first_run: str) -> None:
    """Dashboard and reports are shared with one who has a login, from here to the end of the stack."""
    stack.set(COMPOSE_PROFILES="shared")
    (stack.folder / "sharing" / "users").write_text(sharing.LINE)
    stack.up()


def test_the_first_run_starts_by_itself_on_sample_data(stack: Stack, first_run: str) -> None:
    assert first_run in [run["dag_run_id"] for run in stack.runs()]
    tasks = stack.tasks(first_run)
    assert len(tasks) > 5
    assert tasks.pop("report") == "skipped", "without the Elementary package"
    assert set(tasks.values()) == {"success"}


def test_reports_are_served_and_say_how_to_get_elementary(stack: Stack, first_run: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.reports_port}/", timeout=10) as answer:
        page = answer.read().decode()
    assert "Elementary is absent: no data quality report. `make deps` gets it" in page
    assert "data up to 2024-02-29" in page
    assert f'href="http://127.0.0.1:{stack.dashboard_port}"' in page
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.reports_port}/data-card.html", timeout=10) as answer:
        assert b"<table>" in answer.read()
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.reports_port}/dbt-docs/", timeout=10) as answer:
        assert b"dbt Docs" in answer.read()
    stranger = urllib.request.Request(f"http://127.0.0.1:{stack.reports_port}/", headers={"Host": "stranger.example"})
    with pytest.raises(http.client.RemoteDisconnected):
        urllib.request.urlopen(stranger, timeout=10)


def test_the_dashboard_shows_the_marts_as_the_analyst_from_this_machine_only(stack: Stack, first_run: str) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.dashboard_port}/", timeout=10) as answer:
        assert b"Streamlit" in answer.read()
    variables = stack.compose("exec", "-T", "dashboard", "env").stdout.split()
    assert [each for each in variables if "PASSWORD" in each] == ["WAREHOUSE_ANALYST_PASSWORD=analyst"]
    script = "from streamlit.testing.v1 import AppTest; at = AppTest.from_file('dashboard/app.py').run(timeout=120)"
    shown = "print(len(at.metric), [each.message for each in at.exception], [each.value for each in at.error])"
    said = stack.compose("exec", "-T", "dashboard", "python", "-c", f"{script}; {shown}").stdout
    assert said.splitlines()[-1] == "9 [] []"
    assert "external" not in stack.compose("logs", "--no-color", "dashboard").stdout.lower(), "asked for its address"
    bindings = stack.inspect("dashboard")["NetworkSettings"]["Ports"].values()
    assert {each["HostIp"] for ports in bindings for each in ports or []} == {"127.0.0.1"}


def test_sample_data_belong_to_the_owner_of_the_landing_folder(stack: Stack, first_run: str) -> None:
    landing = stack.folder / "landing"
    files = [path for path in landing.rglob("*") if path.name != ".gitkeep"]
    assert {path.parent.name for path in files if path.is_file()} >= {"sessions", "conversions"}
    assert {path.stat().st_uid for path in files} == {OWNER}
    assert {path.stat().st_gid for path in files} == {landing.stat().st_gid}


def test_nothing_in_the_checkout_was_written_by_a_stranger(stack: Stack, first_run: str) -> None:
    assert [path for path in stack.folder.rglob("*") if path.lstat().st_uid != OWNER] == []


def test_airflow_is_set_up_without_a_hand(stack: Stack) -> None:
    assert stack.api("GET", f"/dags/{DAG}")["is_paused"] is False
    assert stack.api("GET", "/importErrors")["total_entries"] == 0
    connection = stack.api("GET", "/connections/warehouse")
    address = {key: connection[key] for key in ("conn_type", "host", "port", "schema", "login")}
    assert address == {
        "conn_type": "postgres",
        "host": "warehouse",
        "port": 5432,
        "schema": "growth",
        "login": "transform",
    }


def test_services_run_without_root_and_are_reached_from_this_machine_only(stack: Stack) -> None:
    for service in AIRFLOW:
        assert stack.compose("exec", "-T", service, "id", "-u").stdout.strip() == "50000"
        assert stack.inspect(service)["Config"]["Image"] == "growth-analytics"
    for service in (*AIRFLOW, "warehouse", "airflow-db"):
        facts = stack.inspect(service)
        assert facts["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
        assert facts["HostConfig"]["LogConfig"]["Config"]["max-size"]
        assert facts["State"]["Health"]["Status"] == "healthy"
        bindings = [each for port in (facts["NetworkSettings"]["Ports"] or {}).values() for each in port or []]
        assert {each["HostIp"] for each in bindings} == ({"127.0.0.1"} if bindings else set())
        assert bool(bindings) == (service in ("warehouse", "airflow-apiserver"))
    asked = ("psql", "--username", "growth", "-tAc", "show max_locks_per_transaction")
    assert stack.compose("exec", "-T", "warehouse", *asked).stdout == "1024\n"


def test_a_triggered_run_succeeds_and_rows_that_are_old_by_the_contract_leave_raw(
    stack: Stack, first_run: str, tell: Callable[[str], None]
) -> None:
    before = marts(stack)
    let_old_rows_leave(stack.folder, days=30)
    seconds = stack.finish(stack.trigger())
    tell(f"triggered run finished in {seconds:.0f} s")
    assert marts(stack) == before
    left = old_files(stack)
    with stack.connect("growth") as conn:
        loaded = conn.execute("select source_file from raw._loads where feed = 'sessions' order by 1").fetchall()
    assert 0 < len(left) < len(loaded)
    assert left == [name for (name,) in loaded[: len(left)]], "the oldest ones"


def test_analyst_reads_the_marts_from_the_host(stack: Stack, first_run: str) -> None:
    with stack.connect("analyst") as conn:
        labelled = conn.execute("select sum(registration_count) from mart.channel_attribution").fetchone()
        registrations = conn.execute("select count(*) from dwh.fct_registrations").fetchone()
    assert labelled == registrations
    assert labelled != (None,)
    assert labelled != (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 from raw.sessions",
        "insert into raw.sessions (userid) values (1)",
        "create table mart.mine (a int)",
        "delete from mart.channel_attribution",
    ],
)
def test_analyst_is_refused_elsewhere(stack: Stack, first_run: str, statement: str) -> None:
    with stack.connect("analyst") as conn, pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute(statement.encode())


def test_every_panel_has_data_of_the_running_stack(stack: Stack, first_run: str, tell: Callable[[str], None]) -> None:
    begin = time.monotonic()
    config = stack.folder / "docker" / "monitoring" / "prometheus.yml"
    config.write_text(re.sub(r"(_interval|_timeout): \w+", r"\1: 5s", config.read_text()))
    monitored = ["--profile", "monitoring"]
    # without Grafana, of whose image there is no stand-in
    stack.compose(*monitored, "up", "--detach", "--no-deps", "--wait", "metrics", "prometheus")
    address = f"http://127.0.0.1:{stack.prometheus_port}"
    assert monitoring.wait_for_data(address, 90) == []
    up = {each["metric"]["source"]: each["value"][1] for each in monitoring.ask(address, "growth_source_up")}
    assert up == {"warehouse": "1", "limits": "1", "disk": "1", "airflow": "1"}
    components = {
        each["metric"]["component"] for each in monitoring.ask(address, "airflow_heartbeat_timestamp_seconds")
    }
    assert components == {"scheduler", "triggerer", "dag_processor"}
    # the sample's days are long past, and nothing else is wrong; how full this machine's disk is, is its own affair
    wait_for(lambda: monitoring.ask(address, "ALERTS{alertname='FeedStale'}"), 60)
    raised = {each["metric"]["alertname"] for each in monitoring.ask(address, "ALERTS")}
    assert raised - {"DiskLow", "DiskFills"} == {"FeedStale"}
    seconds = float(monitoring.ask(address, "max(scrape_duration_seconds{job='growth'})")[0]["value"][1])
    assert 0 < seconds < 5
    for statement in ("select conf from dag_run", "select val from variable", "select password from connection"):
        login = "host=airflow-db dbname=airflow user=analyst password=analyst"
        ask = f"import psycopg; psycopg.connect('{login}').execute('{statement}')"
        said = stack.compose("exec", "-T", "metrics", "python", "-c", ask, check=False)
        assert "permission denied" in said.stdout, statement
    stack.compose(*monitored, "rm", "--stop", "--force", "--volumes", "metrics", "prometheus")
    tell(f"monitoring tried in {time.monotonic() - begin:.0f} s, a scrape took {seconds:.2f} s")


def test_a_run_survives_the_death_of_the_scheduler(stack: Stack, first_run: str, tell: Callable[[str], None]) -> None:
    before = marts(stack)
    run_id = stack.trigger()
    wait_for(lambda: stack.tasks(run_id).get("run_dwh") == "running", 300)
    stack.compose("exec", "-T", "airflow-scheduler", "python", "-c", KILL_ALL, check=False)
    assert wait_for(lambda: stack.inspect("airflow-scheduler")["RestartCount"], 60) == 1
    tell(f"run finished {stack.finish(run_id, 300):.0f} s after its scheduler was killed")
    assert stack.tasks(run_id)["run_dwh"] == "success"
    assert marts(stack) == before
    wait_for(lambda: stack.inspect("airflow-scheduler")["State"]["Health"]["Status"] == "healthy", 300)


def test_nothing_is_shared_while_nobody_can_log_in(stack: Stack, first_run: str) -> None:
    stack.set(COMPOSE_PROFILES="shared")
    started = stack.compose("up", "--detach", "--no-deps", "sharing", "proxy", check=False)
    assert started.returncode != 0
    assert "sharing/users is absent or empty" in stack.compose("logs", "--no-color", "sharing").stdout
    assert stack.inspect("proxy")["State"]["Status"] == "created"  # never started
    with pytest.raises(ConnectionRefusedError):
        sharing.ask(stack.shared_port, "/")
    stack.compose("rm", "--stop", "--force", "sharing", "proxy")
    stack.set(COMPOSE_PROFILES="")


@pytest.mark.usefixtures("shared")
def test_down_and_up_keep_the_marts_and_start_no_run(stack: Stack, first_run: str, tell: Callable[[str], None]) -> None:
    before, runs_before = marts(stack), {run["dag_run_id"] for run in stack.runs()}
    stack.compose("down", "--timeout", "20")
    tell(f"stack healthy again in {stack.up():.0f} s")
    assert marts(stack) == before
    assert {run["dag_run_id"] for run in stack.runs()} == runs_before


def test_a_person_is_erased_as_the_runbook_says(stack: Stack, first_run: str, tell: Callable[[str], None]) -> None:
    """The next run, which is green, is that of the test after this one: on a backup, from which nobody comes back."""
    landing = stack.folder / "landing"
    files = {path: path.read_bytes() for path in landing.rglob("*.csv")}
    registered = {
        line.split(",")[0]
        for path, content in files.items()
        if path.parent.name == "conversions"
        for line in content.decode().splitlines()[1:]
    }
    person = min(sorted(registered), key=lambda user: sum(user.encode() in content for content in files.values()))
    assert "warehouse" in places_with(stack, person)
    [erase] = [shown.words[2:] for shown in commands(ERASE) if shown.words[0] == "docker"]
    begin = time.monotonic()
    done = stack.compose(*erase, check=False, said=f"{person}\n")
    tell(f"a person erased in {time.monotonic() - begin:.0f} s")
    assert done.returncode == 3, done.stdout
    named = [line for line in done.stdout.splitlines() if line.startswith("/opt/growth/landing/")]
    assert places_with(stack, person) == named != []
    for path in named:
        (landing / path.removeprefix("/opt/growth/landing/")).unlink()
    again = stack.compose(*erase, check=False, said=f"{person}\n")
    assert (again.returncode, places_with(stack, person)) == (0, []), again.stdout


def places_with(stack: Stack, person: str) -> list[str]:
    """The databases, files of volumes and landed files that have an id, refused records included."""
    found = []
    pattern = f"'{person}|{person.encode().hex()}'"
    for service, name in (("warehouse", "growth"), ("airflow-db", "airflow")):
        dump = f"set -o pipefail; pg_dump -U {name} {name} | grep -cE {pattern}"
        count = stack.compose("exec", "-T", service, "bash", "-c", dump, check=False).stdout.strip()
        assert re.fullmatch(r"\d+", count), count
        found += [service] * (count != "0")
    found += ["logs"] * (person in stack.compose("logs", "--no-color").stdout)
    return found + sorted(stack.files_with([person], *VOLUMES))


@pytest.mark.usefixtures("shared")  # users and certificate of the proxy are in a volume, too
def test_a_stack_that_lost_its_volumes_comes_back_from_a_backup(
    stack: Stack, first_run: str, tell: Callable[[str], None]
) -> None:
    before, runs = marts(stack), {run["dag_run_id"] for run in stack.runs()}
    begin = time.monotonic()
    stack.compose("run", "--rm", "backup", "--keep", "1")
    tell(f"backup taken in {time.monotonic() - begin:.0f} s")
    assert {path.stat().st_uid for path in (stack.folder / "backups").rglob("*")} == {OWNER}
    stack.compose("down", "--volumes", "--timeout", "20")
    begin = time.monotonic()
    said = stack.compose("run", "--rm", "restore", "latest").stdout
    assert "the marts as they were" in said
    tell(f"restored in {time.monotonic() - begin:.0f} s, stack healthy in {stack.up():.0f} s")
    stack.set()  # logs in anew
    assert marts(stack) == before
    assert runs <= {run["dag_run_id"] for run in stack.runs()}
    # the next increment, and nothing twice
    newest = "select load_id, source_file from raw._loads order by load_id desc limit 2"
    with stack.connect("growth") as conn:
        [last, _] = conn.execute(newest).fetchall()
    (stack.folder / "landing" / "conversions" / "next.csv").write_text(
        "userid,registration_time\n987654,2024-02-29 23:59:00\n"
    )
    stack.finish(stack.trigger())
    with stack.connect("growth") as conn:
        [(_, loaded), before_it] = conn.execute(newest).fetchall()
    assert (loaded, before_it) == ("conversions/next.csv", last)
    assert marts(stack) != before


@pytest.mark.usefixtures("shared")
def test_people_with_a_login_share_dashboard_and_reports(stack: Stack, first_run: str) -> None:
    port = stack.shared_port
    assert "Streamlit" in sharing.ask(port, "/", **sharing.login()).body
    assert "Growth Analytics: reports" in sharing.ask(port, "/reports/", **sharing.login()).body
    assert "dbt Docs" in sharing.ask(port, "/reports/dbt-docs/", **sharing.login()).body
    assert sharing.ask(port, "/reports/dbt-docs/.version", **sharing.login()).status == 404
    with chromium() as browser:
        reader = Reader(browser, f"https://127.0.0.1:{port}", login=(sharing.NAME, sharing.PASSWORD))
        reader.open({})  # what is drawn came through the WebSocket
        assert reader.problems == []
    assert f" {sharing.NAME} " in stack.compose("logs", "--no-color", "proxy").stdout


@pytest.mark.usefixtures("shared")
def test_without_a_login_nothing_is_reached(stack: Stack, first_run: str) -> None:
    port = stack.shared_port
    paths = ["/", "/reports", "/reports/", "/reports/.index.html", "/_stcore/health", "/_stcore/stream", "/static/x"]
    paths += ["//reports/", "/_stcore//stream", "/reports/../", "/nothing"]
    with ThreadPoolExecutor(len(paths)) as pool:  # each answer is held back for a second
        assert set(pool.map(lambda path: sharing.ask(port, path).status, paths)) == {401}
        assert set(pool.map(lambda path: sharing.ask(port, path, **sharing.login("wrong")).status, paths)) == {401}
    cookie = sharing.ask(port, "/", **sharing.login()).cookie
    assert sharing.open_websocket(port) == 401
    assert sharing.open_websocket(port, Cookie=f"{cookie[:-1]}-") == 401
    assert sharing.open_websocket(port, Cookie=cookie) == 101
    assert sharing.open_websocket(port, **sharing.login()) == 101
    assert sharing.open_websocket(port, Cookie=cookie, Origin="https://elsewhere.example") == 403
    assert sharing.ask(port, "/", Cookie=cookie).status == 401, "the cookie opens the WebSocket and nothing else"


@pytest.mark.usefixtures("shared")
def test_who_is_taken_out_is_out_at_once_and_nobody_is_in_without_users(stack: Stack, first_run: str) -> None:
    users = stack.folder / "sharing" / "users"
    users.write_text("")
    assert "sharing/users is absent or empty" in stack.compose("up", "--no-deps", "sharing").stdout
    assert sharing.ask(stack.shared_port, "/", **sharing.login()).status == 403
    users.write_text(sharing.LINE.replace("ada:", "eve:") + sharing.LINE)
    stack.compose("up", "--no-deps", "sharing")
    assert sharing.ask(stack.shared_port, "/", **sharing.login()).status == 200
    assert sharing.ask(stack.shared_port, "/", **sharing.login(name="eve")).status == 200
    cookie = sharing.ask(stack.shared_port, "/", **sharing.login()).cookie
    stack.compose("restart", "proxy")
    wait_for(lambda: sharing.ask(stack.shared_port, "/", **sharing.login()).status == 200, 30)
    assert sharing.open_websocket(stack.shared_port, Cookie=cookie) == 401, "a page that was open is shut, too"


@pytest.mark.usefixtures("shared")
def test_only_the_proxy_is_reached_from_elsewhere_and_only_over_tls(stack: Stack, first_run: str) -> None:
    services = [name for name in stack.compose("ps", "--services").stdout.split() if name != "proxy"]
    assert len(services) == 8
    for service in services:
        bindings = stack.inspect(service)["NetworkSettings"]["Ports"] or {}
        assert {each["HostIp"] for ports in bindings.values() for each in ports or []} <= {"127.0.0.1"}, service
    bindings = stack.inspect("proxy")["NetworkSettings"]["Ports"]
    assert {port: each[0]["HostIp"] for port, each in bindings.items() if each} == {"8443/tcp": "0.0.0.0"}
    reached = {
        name: stack.compose("exec", "-T", "proxy", "getent", "hosts", name, check=False).returncode == 0
        for name in ("dashboard", "warehouse", "airflow-db", "airflow-apiserver")
    }
    assert reached == dict.fromkeys(reached, False) | {"dashboard": True}
    with pytest.raises(http.client.RemoteDisconnected):
        urllib.request.urlopen(f"http://127.0.0.1:{stack.shared_port}/", timeout=10)


def test_passwords_and_another_user_set_later_are_taken_before_the_stack_is_published(
    stack: Stack, first_run: str
) -> None:
    before = marts(stack)
    own = random_secrets()
    stack.set(BIND_ADDRESS="0.0.0.0", AIRFLOW_UID=str(OWNER), **own)
    stack.up()
    assert marts(stack) == before
    for role in ("growth", "ingest", "transform", "analyst"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            stack.connect(role, password=role)
    stack.finish(stack.trigger())
    search = ("find", "/opt/airflow/logs", "/var/lib/growth", "/var/lib/growth-reports", "!", "-user", str(OWNER))
    assert stack.compose("exec", "-T", "airflow-scheduler", *search).stdout == "", "files of the user of before"
    stack.set(AIRFLOW_PASSWORD="airflow")
    with pytest.raises(AssertionError, match="/auth/token: 401"):
        stack.runs()
    stack.set(AIRFLOW_PASSWORD=own["AIRFLOW_PASSWORD"])


def test_what_is_kept_of_runs_names_nobody(stack: Stack, first_run: str) -> None:
    """Of what the backup brought back, Airflow's database of all runs, and of the runs since."""
    assert what_names_people(stack) == ["/var/lib/growth-reports/data-card.html"], "the first lines of the sample"
