"""Backup and restore on a real server: contents, owners and grants come back; what is broken changes nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from support.disk import small_disk
from support.pipeline import Pipeline
from support.postgres import PostgresServer, new_warehouse

from embedded.errors import EmbeddedError
from embedded.stack import run_lock
from growth import dbt
from growth.backup import airflow_state, manifest, quiet, take
from growth.backup.airflow_state import AirflowState
from growth.backup.errors import BackupBroken, BackupFailed, RestoreDiffers
from growth.backup.restore import Wanted, restore
from growth.publish import publish
from growth.settings import Warehouse, feeds_folder
from growth.turns import take_turn
from growth.warehouse import initialise
from ingest.contract_files import load_contracts

# every relation with its kind, owner, grants, comment; every index, constraint and column
CATALOG = """
select nspname || '.' || relname, relkind::text, pg_get_userbyid(relowner), relacl::text,
    obj_description(pg_class.oid, 'pg_class'), pg_get_userbyid(nspowner), nspacl::text,
    (select array_agg(pg_get_indexdef(indexrelid) order by pg_get_indexdef(indexrelid))
    from pg_index where indrelid = pg_class.oid),
    (select array_agg(
        conname || ' ' || pg_get_constraintdef(pg_constraint.oid) || ' '
        || coalesce(obj_description(pg_constraint.oid, 'pg_constraint'), '') order by conname
    ) from pg_constraint where conrelid = pg_class.oid and contype <> 'n'),
    (select array_agg(
        concat_ws(' ', attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attinhcount,
            col_description(attrelid, attnum)) order by attname
    ) from pg_attribute where attrelid = pg_class.oid and attnum > 0 and not attisdropped)
from pg_class
inner join pg_namespace on relnamespace = pg_namespace.oid
where nspname !~ '^pg_' and nspname <> 'information_schema' and relkind in ('r', 'v', 'S')
order by 1
"""
DEFAULTS = "select defaclrole::regrole::text, defaclnamespace::regnamespace::text, defaclacl::text from pg_default_acl"
READER = "growth_test_reader"  # a role of a user's own
AIRFLOW = """
create table dag_run (dag_id text, run_id text, state text);
create type state as enum ('on', 'off');
create table connection (is_encrypted boolean, is_extra_encrypted boolean, state state);
create table variable (is_encrypted boolean)
"""
DOMAIN = ["tag:acquisition", "dim_dates"]  # the increment is of one domain
OVER = Wanted(is_forced=True)


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "reports"
    folder.mkdir()
    monkeypatch.setenv("GROWTH_REPORTS", str(folder))
    monkeypatch.delenv(airflow_state.KEY, raising=False)
    return folder


@pytest.fixture
def airflow(postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[AirflowState]:
    """A metadata database with the tables that a backup looks at."""
    with new_warehouse(postgres_server, "growth_test_airflow") as made:
        address = f"{made.user}:{made.passwords[made.user]}@{made.host}:{made.port}/{made.database}"
        monkeypatch.setenv(airflow_state.ADDRESS, f"postgresql+psycopg2://{address}")
        state = airflow_state.find()
        assert state is not None
        with state.connect() as conn:
            conn.execute(AIRFLOW)
        yield state


@pytest.fixture
def reader(postgres_server: PostgresServer) -> Iterator[str]:
    with psycopg.connect(postgres_server.conninfo(), autocommit=True) as conn:
        conn.execute(f"drop role if exists {READER}")
        conn.execute(f"create role {READER}")
        yield READER
        # what it may read goes with the databases of the test
        conn.execute("drop database growth_test with (force)")
        conn.execute(f"drop role if exists {READER}")
        conn.execute("create database growth_test")


def execute(warehouse: Warehouse, statement: str) -> None:
    with psycopg.connect(warehouse.conninfo(), autocommit=True) as conn:
        conn.execute(statement.encode())


def test_a_restored_warehouse_goes_on_as_if_nothing_had_happened(
    published: Pipeline, reader: str, reports: Path, tmp_path: Path
) -> None:
    warehouse = published.warehouse
    execute(warehouse, f"grant usage on schema mart to {reader}; grant select on mart.active_users to {reader}")
    execute(warehouse, "create view mart.of_our_own as select channel from mart.channel_attribution")
    published.prepare()  # as every run does
    (reports / "index.html").write_text("as it was")
    before, catalog = published.marts(), published.query(CATALOG)
    said: list[str] = []
    backup = take.take(warehouse, None, tmp_path / "backups", said.append)
    assert "Warehouse: " in said[-1]
    assert {path.name for path in backup.iterdir()} == {"manifest.json", "warehouse.dump", "contracts", "reports"}
    assert {path.stat().st_mode & 0o077 for path in (backup, *backup.rglob("*"))} == {0}

    def increment() -> dict[str, list[str]]:
        published.land("sessions", "b.csv", ["1,2024-01-06 10:00:00,true,EMAIL", "2,2024-01-04 10:00:00,true,EMAIL"])
        published.land("conversions", "a.csv", ["1,2024-01-05 11:00:00", "2,2024-01-06 11:00:00"])
        published.load()
        built = dbt.invoke(
            ["build", "--quiet", "--exclude-resource-type", "test", "unit_test", "--select", *DOMAIN], warehouse
        )
        assert built.succeeded, built.reason
        publish(warehouse, "test", dbt.mart_names(["acquisition"]))
        return published.marts()

    undisturbed = increment()
    assert undisturbed != before

    # the server is lost with all its volumes: another one knows neither the database nor the reader
    execute(replace(warehouse, database="postgres"), "drop database growth_test with (force)")
    execute(replace(warehouse, database="postgres"), f"drop role {reader}")
    execute(replace(warehouse, database="postgres"), "create database growth_test")
    execute(replace(warehouse, database="postgres"), "alter role analyst password 'forgotten'")
    (reports / "index.html").unlink()
    (published.landing / "sessions" / "b.csv").unlink()
    published.land("conversions", "a.csv", ["1,2024-01-05 11:00:00"])
    (published.landing / "_archive" / "sessions").mkdir(parents=True)
    late = published.land("sessions", "late.csv", ["3,2024-01-07 10:00:00,true,EMAIL"])
    late.rename(published.landing / "_archive" / "sessions" / "late.csv")
    restore(backup, warehouse, Wanted(), said.append)
    assert [text for text in said if "by the next run: sessions/late.csv" in text]
    (published.landing / "sessions" / "late.csv").unlink()
    assert f"Role {reader} was missing; it was made with what it may read, and without a login." in said
    assert published.marts() == before
    assert published.query(CATALOG) == catalog
    assert len(published.query(DEFAULTS)) == 3
    assert published.query("show search_path", "analyst") == [("mart, dwh",)]
    assert (reports / "index.html").read_text() == "as it was"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        published.query("select from raw.sessions", "analyst")
    assert {result.status for result in published.load()} == {"skipped"}
    assert increment() == undisturbed
    databases = "select datname from pg_database where datname ~ '^growth_test_re'"
    assert published.query(databases) == [], "nothing is left of the way there"


def test_a_backup_waits_for_a_run_and_lets_none_begin(
    pipeline: Pipeline, airflow: AirflowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quiet, "POLL_SECONDS", 0.05)
    take_turn(pipeline.warehouse, "daily", lambda _: False)
    with airflow.connect() as conn:
        conn.execute("insert into dag_run values ('growth_daily', 'daily', 'running')")
    waits, folder = threading.Event(), tmp_path / "backups"

    def say(text: str) -> None:
        if text == "Waiting for the end of the run daily ...":
            waits.set()

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take.take, pipeline.warehouse, airflow, folder, say)
        try:
            assert waits.wait(30)
            assert manifest.whole(folder) == []
        finally:
            with airflow.connect() as conn:
                conn.execute("update dag_run set state = 'success'")
        backup = taking.result(60)
    assert manifest.whole(folder) == [backup]
    with quiet.quiet(pipeline.warehouse, airflow, print):
        initialise(pipeline.warehouse, load_contracts(feeds_folder()))  # as a single load does
        with psycopg.connect(pipeline.warehouse.conninfo("transform"), autocommit=True) as conn:
            conn.execute("set lock_timeout = '100ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                conn.execute("begin; lock table dwh._turn in share row exclusive mode")  # as growth.turns does


def test_a_backup_waits_for_growth_run_and_lets_none_begin(
    pipeline: Pipeline, airflow: AirflowState, tmp_path: Path
) -> None:
    holds, may_end, said = threading.Event(), threading.Event(), []

    def run() -> None:
        with run_lock(tmp_path):
            holds.set()
            may_end.wait(30)

    def say(text: str) -> None:
        said.append((text, may_end.is_set()))
        may_end.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        assert holds.wait(30)
        with quiet.quiet(pipeline.warehouse, replace(airflow, home=tmp_path), say):
            assert said == [("Waiting for the end of `growth run` ...", False)]
            with pytest.raises(EmbeddedError, match="another run"), run_lock(tmp_path):
                pass
        running.result(30)


def test_airflows_metadata_come_back_with_their_key_only_and_while_nobody_uses_them(
    pipeline: Pipeline, airflow: AirflowState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(airflow_state.KEY, "the key of then")
    with airflow.connect() as conn:
        conn.execute("insert into dag_run values ('growth_daily', 'of then', 'success')")
        conn.execute("insert into connection values (true, false, 'on')")
    backup = take.take(pipeline.warehouse, airflow, tmp_path / "backups", print)
    texts = [path.read_bytes() for path in backup.rglob("*") if path.is_file()]
    assert not [text for text in texts if b"the key of then" in text]
    with airflow.connect() as conn:
        conn.execute("truncate dag_run; create table of_a_newer_airflow (); create view v as select 1 as one")
    with airflow.connect(), pytest.raises(BackupFailed, match=r"Airflow is running \(1 sessions use its metadata\)"):
        restore(backup, pipeline.warehouse, OVER, print)
    monkeypatch.setenv(airflow_state.KEY, "another key")
    with pytest.raises(BackupFailed, match=r"1 connections or variables .* AIRFLOW_FERNET_KEY of then"):
        restore(backup, pipeline.warehouse, OVER, print)
    restore(backup, pipeline.warehouse, Wanted(is_forced=True, airflow=False), print)
    monkeypatch.setenv(airflow_state.KEY, "the key of then")
    restore(backup, pipeline.warehouse, OVER, print)
    with airflow.connect() as conn:
        tables = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v')"
        assert {name for (name,) in conn.execute(tables)} == {"dag_run", "connection", "variable"}
        assert conn.execute("select run_id from dag_run").fetchall() == [("of then",)]


def test_what_cannot_be_restored_leaves_the_warehouse_as_it_is(pipeline: Pipeline, tmp_path: Path) -> None:
    warehouse = pipeline.warehouse
    pipeline.land("sessions", "a.csv", ["1,2024-01-05 10:00:00,true,PAID SEARCH"])
    pipeline.load("sessions")
    backup = take.take(warehouse, None, tmp_path / "backups", print)
    pipeline.land("sessions", "b.csv", ["2,2024-01-05 10:00:00,true,PAID SEARCH"])
    pipeline.load("sessions")

    def refuses(error: type[BackupFailed], match: str, wanted: Wanted = OVER) -> None:
        with pytest.raises(error, match=match):
            restore(backup, warehouse, wanted, print)
        assert pipeline.query("select userid from raw.sessions order by 1") == [(1,), (2,)]

    refuses(BackupFailed, r"holds data \(2 loads\). `--force` replaces all of it", Wanted())
    with psycopg.connect(warehouse.conninfo("ingest")):
        refuses(BackupFailed, "1 sessions other than analyst's use the warehouse")
    owner = "growth_test_owner"  # may set up roles and schemas, and no databases
    execute(warehouse, f"create role {owner} login createrole password 'owner'")
    try:
        other = replace(warehouse, user=owner, passwords={**warehouse.passwords, owner: "owner"})
        with pytest.raises(BackupFailed, match=f"alter role {owner} createdb"):
            restore(backup, other, OVER, print)
    finally:
        execute(warehouse, f"drop role {owner}")

    text = (backup / manifest.NAME).read_text()
    content = json.loads(text)
    content["tables"]["raw._loads"]["checksum"] = "1"
    content["tables"]["raw.events"]["row_count"] = 5
    (backup / manifest.NAME).write_text(json.dumps(content))
    refuses(
        RestoreDiffers,
        "raw._loads has as many rows as before, with other contents\n  raw.events has 0 rows instead of 5",
    )

    dump = backup / manifest.WAREHOUSE_DUMP
    whole = dump.read_bytes()
    for broken, match in ((whole[:-200], "pg_restore failed"), (b"no dump", "cannot be read")):
        dump.write_bytes(broken)
        (backup / manifest.NAME).write_text(text)
        refuses(BackupBroken, "warehouse.dump has")
        files = {name: vars_of(file) for name, file in manifest.describe_files(backup).items()}
        (backup / manifest.NAME).write_text(json.dumps(json.loads(text) | {"files": files}))
        refuses(BackupFailed, match)


def vars_of(file: manifest.File) -> dict[str, object]:
    return {"size": file.size, "sha256": file.sha256}


def test_a_backup_that_is_broken_off_is_none(
    pipeline: Pipeline, warehouse: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(warehouse, 1) as folder:
        with pytest.raises(BackupFailed, match=r"has 1 MB free, and a backup may take \d+ MB: no backup was made"):
            take.take(warehouse, None, folder, print)
        monkeypatch.setattr(take, "FIRST_GUESS", 1_000_000)
        (folder / "filler").write_bytes(bytes(1024 * 1024 - 64 * 1024))
        with pytest.raises(BackupFailed, match=r"pg_dump failed, no backup was made:\n.*No space left on device"):
            take.take(warehouse, None, folder, print)
        assert {path.name for path in folder.iterdir()} == {".lock", "data", "filler"}
    (tmp_path / "backups" / ".20260101T000000Z.part").mkdir(parents=True)  # of one that was killed
    take.take(warehouse, None, tmp_path / "backups", print)
    assert len(list((tmp_path / "backups").iterdir())) == 2
    with psycopg.connect(warehouse.conninfo()) as conn:
        conn.execute(sql.SQL("drop schema raw cascade"))
    with pytest.raises(BackupFailed, match=r"The warehouse holds nothing yet"):
        take.take(warehouse, None, tmp_path / "backups", print)
