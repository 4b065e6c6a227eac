"""Rows of old loads leave raw for files by contract, exactly, and come back for whoever needs them; nothing is lost.

That marts are the same whatever leaves and comes back: tests/golden/test_consistency.py. That nobody stays in a file
who was erased: test_erase.py.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from support.pipeline import MARTS, Pipeline
from support.receivers import Hook
from support.steady import START

from growth import ageing, dbt, old_rows
from growth.alerts import quality
from growth.backup import take
from growth.backup.errors import BackupFailed
from growth.backup.restore import Wanted, restore
from growth.cli import cli
from growth.gate_results import run_gate
from growth.metrics.facts import read
from growth.metrics.warehouse import FEEDS
from growth.settings import cold_folder, feeds_folder
from ingest import cold, cold_files
from ingest.contract_files import load_contracts
from ingest.errors import ColdFileBroken, RawSchemaMismatchError, RowsInUse
from ingest.unload import unload

ALL = "select * from raw.sessions order by _load_id, userid, time_started"
# What a format of text could get wrong.
MEDIA = ['"a\ttab, and\na line"', r'"\."', r'"C:\new \N"', "\\N", '""', "", '"say ""hi"""', " é "]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROWTH_REPORTS", str(tmp_path / "reports"))


@pytest.fixture
def files(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three days of sessions, the first of odd texts, the second in tables of its own; the folder for what leaves."""
    monkeypatch.setenv("GROWTH_HOME", str(tmp_path / "home"))
    bench.land("sessions/1.csv", *(f"{n},2024-01-01 00:00:00.{n:06},true,{text}" for n, text in enumerate(MEDIA)))
    bench.load()
    bench.land("sessions/2.csv", *(f"{n},2024-01-02,{n % 2 == 0},EMAIL" for n in range(100)))
    bench.load(large_file_bytes=1)
    bench.land("sessions/3.csv", "7,2024-01-09,true,DIRECT", "8,2024-01-09,true,DIRECT")
    bench.load()
    return cold_folder()


def age(bench, folder: Path, *loads: int) -> list[cold_files.ColdLoad | None]:
    return [cold.age(bench.warehouse.conninfo("ingest"), bench.contracts["sessions"], load, folder) for load in loads]


def thaw(bench, folder: Path) -> int:
    conninfo = bench.warehouse.conninfo("ingest")
    with psycopg.connect(conninfo) as conn:
        loads = cold.cold_loads(conn)
    cold_files.check(loads, folder)
    count = cold.thaw(conninfo, bench.contracts["sessions"], loads, folder)
    cold.sweep(conninfo, folder)
    return count


def names(folder: Path) -> list[str]:
    return sorted(path.name.split("-")[0] for path in folder.rglob("*") if path.is_file())


def test_rows_come_back_as_they_were(bench, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, history = bench.rows(ALL), bench.rows("select * from mart.load_history order by load_id")
    assert len({medium for *_, medium, load_id in before if load_id == 1}) == len(MEDIA)
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        assert cold.old_loads(conn, "sessions", 6) == [1, 2]
        assert cold.old_loads(conn, "sessions", 7) == [1]
        assert cold.old_loads(conn, "sessions", 8) == []
    first, second = age(bench, files, 1, 2)
    assert first
    assert second
    assert (first.row_count, str(first.first_date), str(first.last_date)) == (8, "2024-01-01", "2024-01-01")
    assert second.row_count == 100
    assert bench.rows("select userid from raw.sessions order by 1") == [(7,), (8,)]
    assert (bench.load_names(), names(files)) == ([], ["1", "2"])
    assert {path.stat().st_mode & 0o077 for path in (files, *files.rglob("*"))} == {0}
    assert bench.rows("select * from mart.load_history order by load_id") == history
    assert {result.status for result in bench.load()} == {"skipped"}

    # tables of their own for many rows, and for those that a contract of now would refuse
    monkeypatch.setattr(cold, "LARGE_ROWS", 50)
    bench.change_contract(column="medium", accepted_values=["EMAIL", "DIRECT"])
    assert thaw(bench, files) == 108
    assert bench.rows(ALL) == before
    assert (len(bench.load_names()), bench.load_tables(), names(files)) == (2, 2, [])
    bench.change_contract(column="medium", accepted_values=None)
    assert all(age(bench, files, 1, 2))
    assert bench.load_names() == []

    # a contract may add to what is in files, and nothing else
    column = {**bench.contracts["sessions"].columns[-1].model_dump(), "name": "campaign"}
    columns = [each.model_dump() for each in bench.contracts["sessions"].columns]
    bench.change_contract(columns=[*columns, column])
    with pytest.raises(RawSchemaMismatchError, match=r"userid: rows that left raw .* first, `growth thaw sessions`"):
        bench.change_contract(column="userid", type="text")
    with pytest.raises(RawSchemaMismatchError, match="medium: rows that left raw"):
        bench.change_contract(column="medium", nullable=False, type="text")
    bench.contracts["sessions"] = bench.change_contract(columns=[*columns, column])
    assert thaw(bench, files) == 108
    known = "select userid, time_started, is_paid, medium, _load_id, campaign from raw.sessions order by 5, 1, 2"
    assert bench.rows(known) == [(*row, None) for row in before]


def test_what_is_replaced_or_unloaded_meanwhile_comes_back_as_removed(bench, files: Path) -> None:
    assert all(age(bench, files, 1, 2))
    bench.land("sessions/1.csv", "5,2024-01-05,true,DIRECT")
    [result] = [each for each in bench.load() if each.status == "loaded"]
    assert bench.changed_days(result.load_id) == ["2024-01-01", "2024-01-05"]
    unload(bench.warehouse.conninfo("ingest"), bench.contracts["sessions"], "sessions/2.csv", run_id="test")
    assert thaw(bench, files) == 108
    assert bench.rows("select userid from raw.sessions order by 1") == [(5,), (7,), (8,)]
    assert len(bench.removed()) == 108
    assert age(bench, files, 1, 2) == [None, None]

    # where most rows of the table itself leave, the disk has their room again
    bench.land("sessions/0.csv", *(f"{n},2023-12-01,true,EMAIL" for n in range(3000)))
    [large] = [each for each in bench.load() if each.source_file == "sessions/0.csv"]
    size = bench.value("select pg_relation_size('raw.sessions')")
    assert all(age(bench, files, large.load_id))
    cold.vacuum(bench.warehouse.conninfo("ingest"), bench.contracts["sessions"], gone=3000)
    assert bench.value("select pg_relation_size('raw.sessions')") < size / 10


def test_whoever_is_killed_leaves_each_row_once(bench, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """As a signal that nobody handles."""

    conninfo, before = bench.warehouse.conninfo("ingest"), bench.rows(ALL)

    def dies(name: str) -> None:
        works = getattr(cold_files, name)

        def die(*arguments: object) -> None:
            works(*arguments)
            raise Killed

        monkeypatch.setattr(cold_files, name, die)

    dies("write")  # the file is there, the rows are not deleted yet
    with pytest.raises(Killed):
        age(bench, files, 2)
    assert (bench.rows(ALL), names(files)) == (before, ["2"])
    monkeypatch.undo()
    monkeypatch.setenv("GROWTH_HOME", str(files.parent))
    cold.sweep(conninfo, files)
    assert (bench.rows(ALL), names(files)) == (before, [])
    assert all(age(bench, files, 1, 2))
    with psycopg.connect(conninfo) as conn:
        loads = cold.cold_loads(conn)
    dies("read")  # the rows are back, and the transaction is not at its end
    with pytest.raises(Killed):
        cold.thaw(conninfo, bench.contracts["sessions"], loads, files)
    assert len(bench.rows(ALL)) == 2
    monkeypatch.undo()
    cold.thaw(conninfo, bench.contracts["sessions"], loads, files)
    assert (bench.rows(ALL), names(files)) == (before, ["1", "2"]), "before the files are deleted"
    cold.sweep(conninfo, files)
    assert names(files) == []
    # nor does a row leave while a model is built that found it there
    monkeypatch.setattr(cold, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(conninfo) as model:
        model.execute("select from raw._cold_files")
        with pytest.raises(RowsInUse):
            age(bench, files, 2)
    assert bench.rows(ALL) == before
    assert cold.thaw(conninfo, bench.contracts["sessions"], loads, files) == 0


def test_a_backup_takes_the_files_along(bench, files: Path, tmp_path: Path) -> None:
    before = bench.rows(ALL)
    [load] = age(bench, files, 1)
    assert load
    backup = take.take(bench.warehouse, None, tmp_path / "backups", print)
    assert names(backup / "cold") == ["1"]
    thaw(bench, files)
    assert all(age(bench, files, 2))
    restore(backup, bench.warehouse, Wanted(is_forced=True), print)
    assert (len(bench.rows(ALL)), names(files)) == (102, ["1"]), "files of what was replaced are deleted"
    (files / load.path).write_bytes(b"another content")
    with pytest.raises(
        BackupFailed, match=rf"{load.path} \(sessions, 8 rows of 2024-01-01 to 2024-01-01\) has another"
    ):
        take.take(bench.warehouse, None, tmp_path / "backups", print)
    restore(backup, bench.warehouse, Wanted(is_forced=True), print)
    assert thaw(bench, files) == 8
    assert bench.rows(ALL) == before


def test_a_run_brings_back_what_it_needs(
    feeds_that_age: None, pipeline: Pipeline, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in pipeline.warehouse.environment().items():
        monkeypatch.setenv(name, value)
    said: list[str] = []

    def land(day: int, name: str, users: int) -> None:
        at = START + timedelta(days=day)
        pipeline.land("sessions", name, [f"{user},{at + timedelta(minutes=user)},true,EMAIL" for user in range(users)])

    def run() -> None:
        pipeline.run_domains("acquisition")
        said.clear()
        ageing.age(pipeline.warehouse, said.append)

    def in_raw() -> list[int]:
        return [count for (count,) in pipeline.query(f"select count(*) from raw.sessions {BY_DAY}")]

    def facts() -> list[int]:
        return [count for (count,) in pipeline.query(f"select count(*) from dwh.fct_sessions {FACTS_BY_DAY}")]

    def file_of(source_file: str) -> Path:
        query = f"select path from raw._cold_files join raw._loads using (load_id) where source_file = '{source_file}'"
        [(path,)] = pipeline.query(query)
        return cold_folder() / str(path)

    def marts() -> list[list[tuple[object, ...]]]:
        return [pipeline.query(MARTS[name]) for name in dbt.mart_names(["acquisition"])]

    for day in range(8):
        land(day, f"{day}.csv", day + 1)
    run()
    assert said == [f"sessions: 6 rows of 2024-01-01 to 2024-01-03, 3 loads, left raw for {cold_folder()}"]
    assert (in_raw(), facts()) == ([4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8])
    before = marts()
    header, *lines = CliRunner().invoke(cli, ["status"]).output.splitlines()
    assert header.split(" | ")[-1].strip() == "cold"
    [sessions] = [line for line in lines if line.startswith("sessions ")]
    assert sessions.split(" | ")[3].strip() == "36", "the ledger counts what left as loaded"
    metrics = {each.name: each for each in read(pipeline.warehouse.conninfo("analyst"), [FEEDS])}
    assert [each.value for each in metrics["growth_feed_records"].samples] == [36], "and so do metrics"
    ageing.age(pipeline.warehouse, said.append)
    assert len(said) == 1, "there is nothing more to do"
    extracts = {feed for feed, contract in load_contracts(feeds_folder()).items() if contract.has_extract_date}
    whole = {feed for feed in load_contracts(feeds_folder()) if ageing._whole_readers(ageing._nodes(), feed)}
    assert whole <= extracts, "no model of ours keeps another feed in raw"

    # the file of a day that is asked for is lost: nothing is built without it
    land(1, "late.csv", 3)
    path = file_of("sessions/1.csv")
    lost = path.rename(path.with_name("lost"))
    pipeline.load("sessions")
    with pytest.raises(ColdFileBroken, match=rf"{path.name} \(sessions, 2 rows of 2024-01-02 .*: No such file"):
        run_gate("raw", pipeline.warehouse, "test", ["acquisition"])
    built = dbt.invoke(["run", "--quiet", "--select", "fct_sessions"], pipeline.warehouse)
    assert "Rows that fct_sessions reads left raw for files: growth thaw sessions" in built.failures[0].message
    assert marts() == before
    lost.rename(path)

    # and while the models are about to be built, a file of another such day is loaded
    def load_more(*arguments: Any, **options: Any) -> None:
        brings_back(*arguments, **options)
        if "full_refresh" in options and not (pipeline.landing / "sessions" / "later.csv").exists():
            land(0, "later.csv", 2)
            pipeline.load("sessions")

    brings_back = ageing.bring_back
    with monkeypatch.context() as patch:
        patch.setattr(ageing, "bring_back", load_more)
        run()
    assert said == [f"sessions: 8 rows of 2024-01-01 to 2024-01-02, 4 loads, left raw for {cold_folder()}"]
    assert facts() == [2, 3, 3, 4, 5, 6, 7, 8], "copies collapse with those that were away"

    # built from nothing without asking, and asking
    built = dbt.invoke(["run", "--quiet", "--full-refresh", "--select", "fct_sessions"], pipeline.warehouse)
    assert not built.succeeded
    assert facts() == [2, 3, 3, 4, 5, 6, 7, 8]
    before = marts()
    built = dbt.run_layer("dwh", pipeline.warehouse, domains=["acquisition"], full_refresh=True)
    assert built.succeeded, built.reason
    assert (len(in_raw()), marts()) == (8, before)

    def full(*_: object) -> None:
        raise psycopg.errors.DiskFull("no space left on device")

    # a published run is no failed one because rows cannot leave; people hear of it until they can
    def tell() -> list[str]:
        hook.received.clear()
        found = quality.tell_warnings(pipeline.warehouse, "morning")
        assert [check.gate for check in found if check.name == old_rows.CHECK] in ([], ["ageing"])
        return [line.strip() for sent in hook.received for line in sent["text"].splitlines() if "why_in_raw" in line]

    def shown() -> list[str]:
        lines = CliRunner().invoke(cli, ["status"]).output.splitlines()
        return [line for line in lines if line.startswith("Old rows") or old_rows.CHECK in line]

    with monkeypatch.context() as patch:
        patch.setattr(cold_files, "write", full)
        old_rows.leave(pipeline.warehouse, "one", said.append)
    assert said[-1] == "sessions: old rows stay in raw: warehouse: no space left on device"
    assert tell() == ["feed sessions, load_count 5, why_in_raw warehouse: no space left on device"]
    assert shown() == ["Old rows of sessions stay in raw: warehouse: no space left on device"]
    shutil.rmtree(cold_folder() / "sessions")
    (cold_folder() / "sessions").touch()
    old_rows.leave(pipeline.warehouse, "two", said.append)
    assert tell() == [], "it was told"
    assert "File exists" in shown()[0]
    assert len(in_raw()) == 8
    (cold_folder() / "sessions").unlink()
    old_rows.leave(pipeline.warehouse, "three", said.append)
    assert (tell(), shown(), len(in_raw())) == ([], [], 5)
    told = "select count(*) from dwh._alerts where cause = 'old_rows_leave_raw'"
    assert pipeline.query(told) == [(0,)], "should it come back, that is news"
    nowhere = replace(pipeline.warehouse, port=1)
    old_rows.leave(nowhere, "four", said.append)
    assert "old rows stay in raw" in said[-2]

    # a file that is lost for good: its load is taken for unloaded, and what it brought is landed again
    file_of("sessions/0.csv").unlink()
    given_up = CliRunner().invoke(cli, ["thaw", "--give-up"])
    assert (given_up.exit_code, given_up.stdout) == (0, "sessions/0.csv\n"), given_up.output
    thawed = CliRunner().invoke(cli, ["thaw", "sessions"])
    assert (thawed.exit_code, in_raw()) == (0, [2, 5, 3, 4, 5, 6, 7, 8]), thawed.output
    assert pipeline.query("select path from raw._cold_files") == [], "nor is a file left"
    assert "All rows are in raw." in CliRunner().invoke(cli, ["thaw"]).output
    assert "loaded" in {result.status for result in pipeline.load("sessions")}
    assert in_raw() == [3, 5, 3, 4, 5, 6, 7, 8]


BY_DAY = "group by cast(time_started at time zone 'UTC' as date) order by min(time_started)"
FACTS_BY_DAY = "group by session_started_date order by 1"


def test_a_feed_that_a_model_reads_as_a_whole_stays() -> None:
    nodes = {
        "view": {"name": "v", "config": {"materialized": "view"}, "depends_on": {"nodes": ["source.growth.web.hits"]}},
        "table": {"name": "t", "config": {"materialized": "table"}, "depends_on": {"nodes": ["view"]}},
        "days": {
            "name": "d",
            "config": {"materialized": "incremental", "meta": {"feeds": ["hits"]}},
            "depends_on": {"nodes": ["view"]},
        },
        "after": {"name": "a", "config": {"materialized": "table"}, "depends_on": {"nodes": ["days"]}},
    }
    assert ageing._whole_readers(nodes, "hits") == ["t"]
    assert ageing._whole_readers(nodes, "its") == []
