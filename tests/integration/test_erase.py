"""An erased person is found nowhere, all numbers are those of files without that person, and none that is landed again
brings anybody back."""

from __future__ import annotations

import csv
import gzip
import os
import re
import shutil
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from support.elementary import QUOTED, quote_in_elementary
from support.pipeline import Pipeline
from support.postgres import PostgresServer, new_warehouse, plain_owner
from support.ways import ageing_contracts, describe_difference

from growth import ageing
from growth.cli import cli
from growth.settings import cold_folder, feeds_folder
from ingest.contract_files import load_contracts
from ingest.load import load_feed
from ingest.unload import unload
from sample_data import write_sample

# Nobody else's text, in no other number.
PERSON = "7700770077"


def erase(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["erase", "--identity", "customer", *arguments])


def holding_tables(pipeline: Pipeline) -> list[str]:
    """Every table, view and statistic of every schema with the id in any column, bytes of records included."""
    patterns = [f"%{PERSON}%", f"%{PERSON.encode().hex()}%"]
    found = []
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        relations = conn.execute(
            "select nspname, relname from pg_class inner join pg_namespace on relnamespace = pg_namespace.oid"
            " where relkind in ('r', 'v', 'm') and (nspname !~ '^pg_' or relname = 'pg_stats')"
            " and nspname <> 'information_schema' order by 1, 2"
        ).fetchall()
        for schema, name in relations:
            query = sql.SQL("select exists (select from {} as rows where cast(rows as text) like any(%s))")
            if conn.execute(query.format(sql.Identifier(schema, name)), [patterns]).fetchone() == (True,):
                found.append(f"{schema}.{name}")
    return found


def holding_files(*folders: Path) -> list[str]:
    """Every file with the id anywhere in its bytes, and not as a part of another number."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    person = re.compile(rb"(?<![0-9])" + PERSON.encode() + rb"(?![0-9])")
    return sorted(path.name for path in files if person.search(path.read_bytes()))


def holding_cold() -> set[str]:
    """The feeds of which files of old loads have the id."""
    files = cold_folder().rglob("*.gz")
    return {path.parent.name for path in files if PERSON in gzip.open(path, "rt").read()}


def delivered_with(landing: Path) -> set[Path]:
    """The delivered files that have the person."""
    files = {path for path in landing.rglob("*.csv") if PERSON in path.read_text()}
    return files | {path for path in landing.rglob("*.parquet") if PERSON in pq.read_table(path)["user_id"].to_pylist()}


def rewrite(landing: Path, before: str, after: str | None) -> int:
    """Give a user another id in all files, or take the user's records out; how many files had any."""
    changed = 0
    for path in [each for each in landing.rglob("*") if each.is_file()]:
        if path.suffix == ".parquet":
            rows = pq.read_table(path).to_pandas(types_mapper=None)
            if not (rows["user_id"] == before).any():
                continue
            if after is None:
                rows = rows[rows["user_id"] != before]
            else:
                rows["user_id"] = rows["user_id"].replace(before, after)
            pq.write_table(pq.read_schema(path).empty_table().from_pandas(rows, pq.read_schema(path), False), path)
        else:
            lines = path.read_text().splitlines(keepends=True)
            kept = [line.replace(before, after) if after else line for line in lines if after or before not in line]
            if kept == lines:
                continue
            path.write_text("".join(kept))
        changed += 1
    return changed


def users_of(landing: Path, feed: str) -> set[str]:
    """Everybody in the files of a feed."""
    column = str(load_contracts(feeds_folder())[feed].user)
    users: set[str] = set()
    for path in (landing / feed).rglob("*.*"):
        if path.suffix == ".parquet":
            users.update(pq.read_table(path)[column].to_pylist())
        else:
            users.update(row[column] for row in csv.DictReader(path.open()))
    return users


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sample in which a user of every feed is called PERSON, with two records that are refused."""
    folder = tmp_path_factory.mktemp("landed") / "landing"
    write_sample(folder, users=150, days=40, seed=3)
    [user, *_] = sorted(set.intersection(*(users_of(folder, feed) for feed in load_contracts(feeds_folder()))))
    assert rewrite(folder, user, PERSON) > 15
    sessions = max((folder / "sessions").glob("*.csv"))
    with sessions.open("a") as file:
        file.write(f"{PERSON},no time,true,DIRECT\n123,no time either,true,DIRECT\n{PERSON},broken\n")
    return folder


def unloaded(landed: Path) -> str:
    """One of the person's files of sessions."""
    [path, _, *_] = [path for path in sorted((landed / "sessions").glob("*.csv")) if PERSON in path.read_text()]
    return path.relative_to(landed).as_posix()


@pytest.fixture
def without(
    landed: Path, postgres_server: PostgresServer, growth_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """The marts of a warehouse whose files never had the person."""
    landing = tmp_path_factory.mktemp("without") / "landing"
    shutil.copytree(landed, landing)
    rewrite(landing, PERSON, None)
    (landing / unloaded(landed)).unlink()
    with new_warehouse(postgres_server, "growth_without") as warehouse, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GROWTH_LANDING", str(landing))
        patch.setenv("GROWTH_HOME", str(growth_home))
        return Pipeline(warehouse, landing).prepare().run().marts()


def test_a_person_is_gone_everywhere_and_stays_gone(
    pipeline: Pipeline, landed: Path, without: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    home, reports = Path(os.environ["GROWTH_HOME"]), tmp_path / "reports"
    monkeypatch.setenv("GROWTH_REPORTS", str(reports))
    shutil.copytree(landed, pipeline.landing)
    pipeline.run()
    contracts = load_contracts(feeds_folder())
    ingest = pipeline.warehouse.conninfo("ingest")
    # on its way out, and not seen to go by any model yet; and what is kept beside the marts
    unload(ingest, contracts["sessions"], unloaded(landed), run_id="test")
    (pipeline.landing / unloaded(landed)).unlink()
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create schema dq_failures; create table dq_failures.kept as select * from dwh.fct_sessions")
        conn.execute("create table mart_previous.churn_risk as select * from mart.churn_risk")
        conn.execute("create schema dev_me_dwh; create table dev_me_dwh.dim_users as select * from dwh.dim_users")
        quote_in_elementary(conn, PERSON)
    log = home / "logs" / "of-a-run.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(f'a value "{PERSON}" of somebody, and {PERSON}0 of somebody else\n')
    reports.mkdir()
    (reports / "page.html").write_text(f"<td>{PERSON}</td>")

    before = holding_tables(pipeline)
    for name in (
        *(f"raw.{feed}" for feed in contracts),
        *("raw._removed_sessions", "raw._rejects", "dwh.dim_users", "dwh.snap_subscribers", "dwh.dim_app_users"),
        *("dwh.int_engagement__user_keys", "mart.user_lifetimes", "mart.churn_risk", "mart_candidate.churn_risk"),
        *("dq_failures.kept", "mart_previous.churn_risk", "dev_me_dwh.dim_users"),
        *(f"elementary.{name}" for name in QUOTED),
    ):
        assert name in before, name
    # what is old is in files
    ageing.age(pipeline.warehouse, print, ageing_contracts(raw_days=15))
    assert before != (before := holding_tables(pipeline))
    assert {path.suffix for path in delivered_with(pipeline.landing)} == {".csv", ".parquet"}
    shown = erase("--user", PERSON, "--dry-run")
    assert shown.exit_code == 3
    assert "raw.sessions" in shown.output
    assert holding_cold() == {"app_events", "conversions"}
    assert re.search(rf"{cold_folder()}/app_events/[0-9a-f-]+\.copy\.gz +\| +[1-9]", shown.output)
    assert holding_tables(pipeline) == before

    # a gate stops it: raw and the published marts are free of the person, and the same command goes on from there
    future = pipeline.land("sessions", "future.csv", ["1,2199-01-01,true,DIRECT"])
    pipeline.load("sessions")
    everybody = dict(pipeline.query("select load_id, record_count from mart.load_history", "analyst"))
    stopped = erase("--user", PERSON, "--yes")
    assert (stopped.exit_code, "Gate raw failed" in stopped.output) == (1, True), stopped.output
    assert "1 people are erased in part" in CliRunner().invoke(cli, ["status"]).output
    left = [name for name in holding_tables(pipeline) if not name.startswith(("dwh.", "dev_me_dwh.", "pg_catalog."))]
    assert left == [f"raw._removed_{feed}" for feed in contracts]
    unload(ingest, contracts["sessions"], "sessions/future.csv", run_id="test")
    future.unlink()

    done = erase("--user", PERSON, "--yes")
    assert done.exit_code == 3, done.output
    assert holding_tables(pipeline) == []
    assert holding_files(home / "logs", home / "dbt", reports) == []
    assert holding_cold() == set()
    assert pipeline.query("select count(*) > 9 from raw._cold_files") == [(True,)]
    assert log.read_text() == f'a value "0000000000" of somebody, and {PERSON}0 of somebody else\n'
    named = {Path(line) for line in done.stdout.splitlines() if line.startswith("/")}
    assert named == delivered_with(pipeline.landing)
    assert "dbt" not in done.stdout
    status = CliRunner().invoke(cli, ["status"]).output
    assert "in part" not in status
    [sessions] = [line for line in status.splitlines() if line.startswith("sessions ")]
    assert re.search(r"\| +[1-9][0-9]* \| [-0-9: ]+ \| 0\.\d MB +\| 0\.\d MB +\| 0\.0 MB", sessions), sessions
    assert not describe_difference(pipeline.marts(), without)
    # nothing is lost silently: each record is loaded, refused or erased
    ledger = "select load_id, record_count, loaded_count + rejected_count + erased_count from mart.load_history"
    counts = pipeline.query(ledger, "analyst")
    assert {load_id: records for load_id, records, _ in counts} == everybody
    assert all(records == accounted for _, records, accounted in counts)
    assert pipeline.query("select sum(rejected_count) from mart.load_history", "analyst") == [(1,)]
    gates = "select count(distinct gate) from mart.gate_results where run_id like 'erase %'"
    assert pipeline.query(gates, "analyst") == [(4,)]

    # the same files under other names, the fast way and the one of large files
    brought = 0
    for path in [each for each in pipeline.landing.rglob("*") if each.is_file()]:
        path.rename(path.with_name(f"again_{path.name}"))
    for number, feed in enumerate(contracts):
        size = 1 if number % 2 else 1 << 30
        results = load_feed(ingest, contracts[feed], pipeline.landing, run_id="again", large_file_bytes=size)
        assert {result.status for result in results} == {"loaded"}
        assert sum(result.erased_count for result in results) > 0, feed
        brought += sum(result.loaded_count for result in results)
    assert brought > 4000
    assert holding_tables(pipeline) == []
    ageing.bring_back(pipeline.warehouse, print)
    pipeline.build()
    pipeline.publish()
    assert not describe_difference(pipeline.marts(), without)
    assert holding_tables(pipeline) == []


def test_nobody_is_said_to_be_erased_while_there_are_rows_of_a_feed_without_contract(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    good = [f"{PERSON},2024-01-{day:02},true,DIRECT" for day in range(1, 31)]
    delivered = pipeline.land("sessions", "a.csv", [*good, f"{PERSON},no time,true,DIRECT"])
    pipeline.land("conversions", "a.csv", [f"{PERSON},2024-01-05 11:00:00"])
    pipeline.load("sessions", "conversions")
    shutil.copytree(feeds_folder(), tmp_path / "feeds")
    monkeypatch.setenv("GROWTH_FEEDS", str(tmp_path / "feeds"))
    contract = tmp_path / "feeds" / "acquisition" / "sessions.yml"
    text = contract.read_text()
    contract.unlink()
    # building is not what this is about: the models of a feed go with its contract
    monkeypatch.setattr("growth.erase._rebuild", lambda *_: "")

    shown = erase("--user", PERSON, "--dry-run")
    assert shown.exit_code == 3
    assert re.search(r"raw\.sessions +\| +30\n", shown.output), shown.output
    done = erase("--user", PERSON, "--yes")
    assert done.exit_code == 1, done.output
    assert re.search(r"raw\._rejects \(sessions\) +\| +1\n", done.output), done.output
    assert "feeds without contract" in done.output
    assert "They are erased" not in done.output
    assert "raw.conversions" not in holding_tables(pipeline)
    assert "1 people are erased in part" in CliRunner().invoke(cli, ["status"]).output

    # its files are searched as texts; and nothing else is left to say once its tables are gone
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute("drop table raw.sessions, raw._removed_sessions cascade")
        conn.execute("delete from raw._rejects where feed = 'sessions'")
    done = erase("--user", PERSON, "--yes")
    assert done.exit_code == 3, done.output
    assert f"{delivered}  (no file of its feed" in done.stdout
    assert "in part" not in CliRunner().invoke(cli, ["status"]).output

    # or with its contract
    contract.write_text(text)
    pipeline.prepare()
    load_feed(
        pipeline.warehouse.conninfo("ingest"),
        load_contracts(feeds_folder())["sessions"],
        pipeline.landing,
        run_id="again",
    )
    assert erase("--user", PERSON, "--yes").exit_code == 3
    assert holding_tables(pipeline) == []


def test_a_person_is_refused_or_not_known(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    nobody = CliRunner().invoke(cli, ["erase", "--identity", "person", "--user", "1"])
    assert nobody.exit_code == 2
    assert "there are: customer" in nobody.output
    assert erase().exit_code == 2
    assert erase("--user", " ").exit_code == 2
    # of whom nothing is there: remembered all the same, nothing is built, and a file that comes brings nothing
    done = CliRunner().invoke(
        cli, ["erase", "--identity", "customer", "--users-from", "-", "--yes"], input="41\n 42 \n\n"
    )
    assert done.exit_code == 0, done.output
    assert "Building" not in done.output
    assert "Nothing of them is there. Are the ids written as the files have them?" in done.output
    assert "There was nothing of them to erase." in done.output
    assert "They are erased" not in done.output
    pipeline.land("sessions", "a.csv", ["041,2024-01-01,true,DIRECT", "42,no time,true,", "43,2024-01-01,true,EMAIL"])
    [result] = load_feed(
        pipeline.warehouse.conninfo("ingest"),
        load_contracts(feeds_folder())["sessions"].model_copy(update={"max_reject_rate": 0.0}),
        pipeline.landing,
        run_id="test",
    )
    assert (result.status, result.loaded_count, result.rejected_count, result.erased_count) == ("loaded", 1, 0, 2)
    assert pipeline.query("select userid from raw.sessions") == [(43,)]
    # nor does the server's own log quote what files hold
    assert pipeline.query("show log_min_messages", "ingest") == [("fatal",)]
    assert pipeline.query("show log_error_verbosity") == [("terse",)]


def test_an_id_with_zeros_is_the_number_that_raw_has(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("growth.erase._rebuild", lambda *_: "")  # building is not what this is about
    record = "42,2024-01-01,true,DIRECT"
    delivered = pipeline.land("sessions", "a.csv", [record, "43,2024-01-01,true,EMAIL"])
    pipeline.load("sessions")
    shown = erase("--user", "0042", "--user", "+44", "--dry-run")
    assert re.search(r"raw\.sessions +\| +1\n", shown.output), shown.output
    assert "looked for, too: 42, 44\n" in shown.output
    assert "Raw has no rows of these ids. Are they written as the files have them? +44, 44\n" in shown.output
    done = erase("--user", " 0042", "--yes")
    assert done.exit_code == 3, done.output
    assert str(delivered) in done.stdout
    assert "They are erased" in done.output
    assert pipeline.query("select userid from raw.sessions") == [(43,)]
    # and the same file brings nobody back
    delivered.rename(delivered.with_name("again.csv"))
    contract = load_contracts(feeds_folder())["sessions"]
    load_feed(pipeline.warehouse.conninfo("ingest"), contract, pipeline.landing, run_id="again")
    assert pipeline.query("select distinct userid from raw.sessions") == [(43,)]


def test_what_the_owner_may_not_read_is_named(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GROWTH_LANDING", str(tmp_path / "landing"))
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    with plain_owner(postgres_server, "growth_plain") as warehouse:
        for name, value in warehouse.environment().items():
            monkeypatch.setenv(name, value)
        with psycopg.connect(postgres_server.conninfo("growth_plain")) as conn:
            conn.execute("create schema closed; create table closed.users (user_id text)")
            conn.execute("create schema open; create table open.notes (note text); create table open.counts (n bigint)")
            conn.execute("grant usage on schema open to plain_owner")
        for option in ("--dry-run", "--yes"):
            done = erase("--user", PERSON, option)
            assert done.exit_code == 0, done.output
            assert "may not read these tables, so nobody was looked for there: closed.users, open.notes." in done.output
        with psycopg.connect(postgres_server.conninfo("growth_plain")) as conn:
            conn.execute("drop schema closed cascade; grant select on open.notes to plain_owner")
        assert "may not read" not in erase("--user", PERSON, "--yes").output
