"""The command line as a user types it: the real DAG on an embedded Postgres, in a home of its own."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.documents import ROOT, blocks, commands, queries
from support.receivers import webhook

from growth import packages
from ingest.contract_files import load_contracts

ADDING_A_MART = ROOT / "docs" / "adding-a-mart.md"
FEEDS = list(load_contracts(ROOT / "ingest" / "feeds"))
GROWTH = Path(sys.executable).parent / "growth"
Growth = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the DAG reads, so that a test can break it, with the mart that docs/adding-a-mart.md adds."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("dags", "dbt_project", "ingest/feeds"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    texts = dict(reversed(blocks(ADDING_A_MART)))  # the first of each language
    for language, suffix in {"sql": ".sql", "yaml": ".yml"}.items():
        (folder / "dbt_project/models/mart/engagement/weekday_usage").with_suffix(suffix).write_text(texts[language])
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def growth(project: Path, home: Path) -> Iterator[Growth]:
    names = ("WAREHOUSE_", "GROWTH_", "DBT_", "AIRFLOW")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    environment |= {
        "GROWTH_HOME": str(home),
        "GROWTH_LANDING": str(project / "landing"),
        "GROWTH_PROJECT": str(project),
    }

    def call(*arguments: str, check: bool = True, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [GROWTH, *arguments],
            env=environment | variables,
            text=True,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    yield call
    call("down", "--purge")
    assert not (home / "logs").exists()


def land(project: Path, feed: str, name: str, text: str) -> Path:
    path = project / "landing" / feed / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def attribution(growth: Growth) -> dict[str, str]:
    done = growth("sql", "select channel, registration_count from mart.channel_attribution", "--format", "csv")
    return {row["channel"]: row["registration_count"] for row in csv.DictReader(io.StringIO(done.stdout))}


def in_landing(project: Path, feed: str) -> int:
    """How many files of a feed lie there."""
    return len(list((project / "landing" / feed).iterdir()))


SESSIONS = "userid,time_started,is_paid,medium\n1,2024-01-05 10:00:00,true,PAID SEARCH\n"
CONVERSIONS = "userid,registration_time\n1,2024-01-05 11:00:00\n"
PERSON = "880088008800"  # nobody else's text: refused, and found by a gate, but named in nothing that is kept of it
CHECKS = ["nobody_has_a_long_number", "nobody_has_a_long_number_either"]


@dataclass(frozen=True)
class Run:
    """What a run said, and what status and marts were right after it."""

    returncode: int
    said: str
    alerts: list[dict[str, Any]]
    status: str
    attribution: dict[str, str]


@dataclass(frozen=True)
class Refused:
    """A run that met a refused file; and what the load of the corrected file said, and the status then."""

    run: Run
    attribution_before: dict[str, str]
    said_of_corrected: str
    status_of_corrected: str
    loaded_before: int


@dataclass(frozen=True)
class Stopped:
    """A run that a gate stopped; then the rows that Airflow keeps of all runs, and the files of the home."""

    run: Run
    attribution_before: dict[str, str]
    metrics_before: str
    metrics: str
    rows: str
    files: dict[Path, bytes]


def run_now(growth: Growth, *options: str, check: bool = True) -> Run:
    with webhook() as hook:
        done = growth("run", *options, check=check, GROWTH_WEBHOOK_URL=hook.url)
    return Run(done.returncode, done.stderr, hook.received, growth("status").stdout, attribution(growth))


@pytest.fixture(scope="module")
def empty(growth: Growth) -> tuple[Run, list[str]]:
    """A run before any file has landed, and how many rows marts have then."""
    run = run_now(growth)
    marts = ("channel_attribution", "channel_conversion", "acquisition_daily")
    return run, [growth("sql", f"select count(*) from mart.{mart}", "--format", "json").stdout for mart in marts]


@pytest.fixture(scope="module")
def delivered(growth: Growth, project: Path, empty: object) -> Run:
    """A load of one feed, then a run of another one alone."""
    land(project, "conversions", "a.csv", CONVERSIONS + 2 * CONVERSIONS.splitlines(keepends=True)[1])
    land(project, "sessions", "a.csv", SESSIONS)
    growth("load", "--feeds", "sessions")
    return run_now(growth, "--feeds", "conversions")


@pytest.fixture(scope="module")
def refused(growth: Growth, project: Path, delivered: object) -> Refused:
    """Because of a record of PERSON."""
    before, loaded = attribution(growth), in_landing(project, "conversions")
    bad = land(
        project, "conversions", "bad.csv", f"userid,registration_time\n2,2024-01-06 11:00:00\n{PERSON},yesterdayish\n"
    )
    land(project, "conversions", "good.csv", "userid,registration_time\n4,2024-01-06 11:00:00\n")
    run = run_now(growth, check=False)
    # corrected under the same name; the good file of that load stayed
    bad.write_text("userid,registration_time\n2,2024-01-06 11:00:00\n3,2024-01-06 12:00:00\n")
    said = growth("load").stderr
    return Refused(run, before, said, growth("status").stdout, loaded)


@pytest.fixture(scope="module")
def stopped(growth: Growth, project: Path, home: Path, refused: object) -> Stopped:
    """Because of a record of PERSON, soon after the other run that met one."""
    before, metrics_before = attribution(growth), growth("metrics", "--once").stdout
    tests = [project / "dbt_project" / "tests" / f"{name}.sql" for name in CHECKS]
    # the first by name ends last: what is said of them must not depend on that
    for test, seconds in zip(tests, (2, 0), strict=True):
        test.write_text(
            "{{ config(tags=['staging']) }}\n"
            "select * from {{ ref('stg_acquisition__conversions') }} where length(user_id) = 12\n"
            f"and pg_sleep({seconds}) is not null\n"
        )
    land(project, "conversions", "long.csv", f"userid,registration_time\n{PERSON},2024-01-07 11:00:00\n")
    run = run_now(growth, check=False)
    for test in tests:
        test.unlink()
    metrics = growth("metrics", "--once").stdout
    tables = ("xcom", "rendered_task_instance_fields", "task_instance", "dag_run", "log", "asset_event")
    query = " union all ".join(f"select t::text from {table} as t" for table in tables)
    rows = growth("psql", "--admin", "--", "-d", "airflow", "-tAc", query).stdout
    files = [path for name in ("logs", "airflow", "dbt") for path in (home / name).rglob("*") if path.is_file()]
    return Stopped(run, before, metrics_before, metrics, rows, {path: path.read_bytes() for path in files})


def test_a_run_without_files_succeeds_and_says_so(empty: tuple[Run, list[str]]) -> None:
    run, counts = empty
    assert "No file has ever been delivered" in run.said
    assert run.said.count("Elementary is absent") == (not packages.elementary_version()), "the skipped task says it"
    assert run.attribution == {}
    assert {count.strip() for count in counts} == {'[\n  {\n    "count": 0\n  }\n]'}


def test_a_run_of_one_feed_alone_and_a_load_of_another(delivered: Run) -> None:
    [warned] = re.findall(r"^Published .*\n(Warned, worth a look: .*)$", delivered.said, re.MULTILINE)
    assert "few_duplicates_conversions (1 row)" in warned
    assert warned in delivered.status
    assert "load_feed[sessions]" not in delivered.said
    assert "No data of engagement, subscription." in delivered.said
    assert delivered.attribution == {"PAID_SEARCH": "1"}
    assert [line.split("|")[0].strip() for line in delivered.status.splitlines()[2 : 2 + len(FEEDS)]] == FEEDS


@pytest.mark.usefixtures("delivered")  # which has published it
def test_a_mart_comes_and_goes_as_documented(growth: Growth, project: Path) -> None:
    [build, _, query, drop] = [shown.words[1:] for shown in commands(ADDING_A_MART) if shown.is_block]
    assert "PASS=8" in growth(*build).stdout, "model, two of the key, identity, unit test, three hooks"
    assert growth(*query, "--format", "csv").stdout == (
        "iso_weekday,day_count,active_user_count_average,event_count_average\n"
    )
    for suffix in (".sql", ".yml"):
        (project / "dbt_project/models/mart/engagement/weekday_usage").with_suffix(suffix).unlink()
    growth("publish")
    growth(*drop)
    growth("publish")
    left = "select nspname from pg_class join pg_namespace on relnamespace = pg_namespace.oid where relname ~ 'weekday'"
    assert growth("psql", "--admin", "--", "-tAc", left).stdout == ""
    assert "weekday_usage" not in growth("status").stdout


@pytest.mark.usefixtures("delivered")
def test_what_was_spoiled_by_hand_is_mended_by_a_full_refresh(growth: Growth) -> None:
    growth("psql", "--admin", "--", "-c", "update dwh.fct_sessions set channel = 'SPOILED'")
    growth("run", "--full-refresh")
    assert growth("psql", "--admin", "--", "-tAc", "select channel from dwh.fct_sessions").stdout == "PAID SEARCH\n"


@pytest.mark.usefixtures("delivered")
def test_a_lost_home_comes_back_from_its_backup(growth: Growth, project: Path) -> None:
    """The tests below go on with what was restored."""
    count_runs = ("psql", "--admin", "--", "-d", "airflow", "-tAc", "select count(*) from dag_run")
    before, runs, folder = attribution(growth), growth(*count_runs).stdout, project / "backups"
    loads = growth("psql", "--admin", "--", "-tAc", "select count(*) from raw._loads").stdout.strip()
    backup = Path(growth("backup", "--to", str(folder)).stdout.strip())
    assert backup.parent == folder
    assert growth("backup", "--list", "--to", str(folder)).stdout.splitlines()[2].startswith(backup.name)
    refused = growth("restore", str(backup), check=False)
    assert refused.returncode == 1
    assert f"holds data ({loads} loads). `--force` replaces all of it" in refused.stderr
    verified = growth("restore", "latest", "--from", str(folder), "--verify")
    assert f"{backup} can be restored. Nothing here was changed." in verified.stderr
    growth("down", "--purge")
    restored = growth("restore", str(backup), "--contracts")
    assert "the marts as they were" in restored.stderr
    assert attribution(growth) == before
    assert growth(*count_runs).stdout == runs
    told = growth("load").stderr
    for feed in ("sessions", "conversions"):
        assert f"{feed}: files loaded before, skipped: {in_landing(project, feed)}\n" in told
    (backup / "warehouse.dump").unlink()
    broken = growth("restore", "latest", "--from", str(folder), "--verify", check=False)
    assert broken.returncode == 1
    assert "warehouse.dump is missing" in broken.stderr


def test_a_refused_file_fails_the_run_and_leaves_the_marts(refused: Refused) -> None:
    [alert] = refused.run.alerts
    assert alert["causes"] == ["conversions/bad.csv"]
    assert "  line 3, column registration_time" in alert["text"]
    assert "yesterdayish" not in alert["text"], "it could be somebody's name"
    assert refused.run.returncode == 1
    for part in ("conversions/bad.csv", "line 3", "registration_time", "yesterdayish"):
        assert part in refused.run.said, part
    assert refused.run.attribution == refused.attribution_before
    assert refused.run.attribution["PAID_SEARCH"] == "1"
    assert "gate_raw" not in refused.run.said
    assert "conversions/bad.csv" in refused.run.status
    assert f"conversions: files loaded before, skipped: {refused.loaded_before + 1}" in refused.said_of_corrected
    assert "conversions/good.csv" not in refused.said_of_corrected
    assert "REFUSED" in refused.run.status
    assert "REFUSED" not in refused.status_of_corrected


def test_a_failed_gate_names_its_checks_shows_rows_of_nobody_and_what_to_do(growth: Growth, stopped: Stopped) -> None:
    [alert] = stopped.run.alerts
    assert (alert["kind"], alert["title"]) == ("failure", "gate_staging stopped growth_daily")
    assert [(check["name"], check["row_count"]) for check in alert["checks"]] == [(name, 1) for name in CHECKS]
    assert alert["checks"][0]["examples"] == ["registered_date 2024-01-07, registered_at 2024-01-07, user_id …"]
    assert stopped.run.returncode == 1
    told = stopped.run.said.splitlines()
    begin = next(number for number, line in enumerate(told) if line.startswith("  gate_staging: failed"))
    shown = []
    for name in CHECKS:
        shown += [f"{name} (1 row):", "    registered_date 2024-01-07, registered_at 2024-01-07, user_id …"]
        shown.append(f'    growth psql --admin -- -c "select * from dq_failures.{name}"')
    assert [line.removeprefix("      ") for line in told[begin + 1 : begin + 9]] == [
        f"gate staging failed: {CHECKS[0]} (1 row), {CHECKS[1]} (1 row).",
        *shown,
        "docs/runbooks/gate_failed.md says what to do.",
    ]
    assert told[begin + 9].startswith("  "), "nothing is said twice"
    assert not told[begin + 9].startswith("   ")
    assert "length(user_id)" not in stopped.run.said, "the SQL is for the log"
    assert stopped.run.attribution == stopped.attribution_before
    log = next(line.split("log: ", 1)[1] for line in told if "log: " in line)
    text = stopped.files[Path(log.strip())].decode()
    assert "1 failing rows" in text
    assert "length(user_id) = 12" in text
    # from the failed task to dbt's command, and to the loads that it judged
    [found] = re.findall(r"run_id=(\S+) task_id=gate_staging dbt_invocation_id=(\S+) status=failed", text)
    run_id, invocation_id = found
    [query, _] = queries(ROOT / "docs" / "runbooks" / "failed_task.md")
    query = re.sub(r"run_id = '[^']*' and task_id = '\w+'", f"run_id = '{run_id}' and task_id = 'gate_staging'", query)
    rows = json.loads(growth("sql", query, "--format", "json").stdout)
    assert {row["invocation_id"] for row in rows} == {invocation_id}
    assert rows[-1]["failed_nodes"] == CHECKS
    assert [row["source_file"] for row in rows if row["load_run_id"] == run_id] == ["conversions/long.csv"]
    assert f"load_id={rows[-1]['load_id']} status=loaded source_file=conversions/long.csv" in text
    assert "status=skipped" not in text, "a line for each file that was ever loaded"
    in_a_row = 'airflow_dag_run_failures_in_a_row{dag_id="growth_daily"} '
    before, after = (float(each.split(in_a_row)[1].split()[0]) for each in (stopped.metrics_before, stopped.metrics))
    assert after == before + 1
    assert 'airflow_task_failures_in_a_row{dag_id="growth_daily",task_id="gate_staging"} 1.0' in stopped.metrics
    assert 'airflow_task_failures_in_a_row{dag_id="growth_daily",task_id="load_feed"} 0.0' in stopped.metrics
    assert 'airflow_dag_run_last_success_timestamp_seconds{dag_id="growth_daily"} ' in stopped.metrics
    assert 'growth_gate_checks{gate="staging",status="fail"} 2.0' in stopped.metrics


@pytest.mark.usefixtures("delivered")
def test_results_alone_go_to_standard_output(growth: Growth) -> None:
    growth("down")
    done = growth("psql", "--", "--csv", "--command", "select 1 as one")  # starts the server
    assert done.stdout == "one\n1\n"
    assert growth("sql", "select 1 as one", "--format", "csv").stdout == "one\n1\n"
    assert growth("sql", "select null as none, 'ä' as text", "--format", "json").stdout == (
        json.dumps([{"none": None, "text": "ä"}], indent=2, ensure_ascii=False) + "\n"
    )
    refused = growth("sql", "select * from raw.sessions", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "permission denied" in refused.stderr
    assert growth("psql", "--admin", "--", "-tAc", "select count(*) from raw.sessions").stdout == "1\n"


def test_mistakes_get_one_clear_line(growth: Growth) -> None:
    unknown = growth("run", "--feeds", "session", check=False)
    assert unknown.returncode == 2
    assert f"unknown feed: session; there are: {', '.join(FEEDS)}" in unknown.stderr
    nowhere = growth("status", check=False, WAREHOUSE_HOST="127.0.0.1", WAREHOUSE_PORT="1")
    assert nowhere.returncode == 1
    assert "Connection refused" in nowhere.stderr
    bogus = growth("dbt", "bogus", check=False)
    assert bogus.returncode == 1
    assert "bogus" in bogus.stdout + bogus.stderr
    no_macro = growth("dbt", "run-operation", "no_such_macro", check=False)
    assert no_macro.returncode == 1
    assert "no_such_macro" in no_macro.stdout + no_macro.stderr
    assert "Traceback" not in nowhere.stderr + unknown.stderr + bogus.stderr + no_macro.stderr


def test_an_operation_of_dbt_can_be_run(growth: Growth) -> None:
    assert "Traceback" not in growth("dbt", "run-operation", "freeze_loads").stderr


def test_another_postgres_is_set_up_and_used(growth: Growth, warehouse) -> None:
    environment = warehouse.environment()
    growth("init", **environment)
    growth("init", **environment)
    growth("load", **environment)
    assert "sessions" in growth("status", **environment).stdout
    assert (
        growth("sql", "select current_database()", "--format", "csv", **environment).stdout.split()[1]
        == warehouse.database
    )


def test_what_is_kept_of_runs_names_nobody(growth: Growth, stopped: Stopped) -> None:
    """Of runs that met a person in a refused record and in the failing rows of a gate."""
    found = f"select count(*) from raw.conversions where userid = {PERSON}"
    assert growth("psql", "--admin", "--", "-tAc", found).stdout == "1\n"
    assert [known for known in ("return_value", "publish_marts", "gate_staging") if known not in stopped.rows] == []
    assert PERSON not in stopped.rows
    of_gates = {path.parent.name for path, content in stopped.files.items() if b"gate" in content}
    assert {"logs", "target-prod"} <= of_gates
    assert [path for path, content in stopped.files.items() if PERSON.encode() in content] == []
