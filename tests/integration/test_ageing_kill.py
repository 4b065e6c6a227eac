"""Who moves rows out of raw, or back, may be killed: each row is in one place, and the next run ends what was begun.

A process ages as a run does, waits for a lock that the test holds, and gets a SIGKILL there.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from embedded.processes import wait_until
from growth import ageing
from growth.settings import cold_folder
from ingest import cold, cold_files, ledger

ACT = "from growth import ageing, settings; ageing.{}(settings.Warehouse.from_environment(), print{})"
AGE, BRING_BACK = ACT.format("age", ""), ACT.format("bring_back", ", full_refresh=True")
ROWS = "select userid::text, _load_id::text from raw.sessions"
WAITS = "select count(*) from pg_stat_activity where usename = 'ingest' and wait_event_type = 'Lock'"


@pytest.fixture
def before(feeds_that_age: None, bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """All rows of two loads that are to leave raw, the first in a table of its own, and of one that stays."""
    for name, value in {**bench.warehouse.environment(), "GROWTH_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    for number, day in enumerate(("01", "02", "09"), 1):
        bench.land(f"sessions/{number}.csv", *(f"{user},2024-01-{day},true,EMAIL" for user in range(50)))
        bench.load(large_file_bytes=1 if number == 1 else 10**9)
    # as dbt leaves it when every model has seen every load
    model = {"name": "model", "resource_type": "model", "tags": ["acquisition"], "depends_on": {"nodes": []}}
    config = {"materialized": "incremental", "meta": {"feeds": ["sessions"]}}
    manifest = tmp_path / "home" / "dbt" / "target-prod" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"nodes": {"model": model | {"config": config}}}))
    with psycopg.connect(bench.warehouse.conninfo("transform")) as conn:
        conn.execute("create table dwh._consumed_loads as select 'model' as model, load_id from raw._loads")
    return sorted(bench.rows(ROWS))


def in_files(bench) -> list[cold_files.ColdLoad]:
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        return cold.cold_loads(conn)


def rows(bench) -> list[tuple[str, str]]:
    """Those of raw, and those of the files that the ledger names."""
    found = bench.rows(ROWS)
    for load in in_files(bench):
        header, *lines = gzip.decompress((cold_folder() / load.path).read_bytes()).decode().splitlines()
        places = [header.split("\t").index(name) for name in ("userid", "_load_id")]
        found += [tuple(line.split("\t")[place] for place in places) for line in lines]
    return sorted(found)


def files() -> list[str]:
    return sorted(str(path.relative_to(cold_folder())) for path in cold_folder().rglob("*") if path.is_file())


def kill(bench, code: str, hold: Callable[[psycopg.Connection], object]) -> None:
    """Kill a process that waits for what is held."""
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        hold(conn)
        process = subprocess.Popen([sys.executable, "-c", code])
        assert wait_until(lambda: bool(bench.value(WAITS)) or process.poll() is not None, 60)
        assert process.poll() is None, "it waited for nothing"
        process.kill()
        assert process.wait() == -9


def second_load(conn: psycopg.Connection) -> None:
    """Who is to move the second load waits when the first one is moved."""
    ledger.lock_path(conn, "sessions/2.csv")


def test_who_is_killed_while_rows_move_leaves_each_row_once(bench, before: list[tuple[str, str]]) -> None:
    # the file is written, and nothing is committed: a model is being built
    kill(bench, AGE, lambda conn: conn.execute("lock table raw._cold_files in access share mode"))
    assert [name.split("-")[0] for name in files()] == ["sessions/1"]
    assert (in_files(bench), rows(bench)) == ([], before)

    # after the commit, with the next load begun; the file of before is gone
    kill(bench, AGE, second_load)
    [first] = in_files(bench)
    assert (first.load_id, first.row_count, files()) == (1, 50, [first.path])
    assert rows(bench) == before

    ageing.age(bench.warehouse, print)
    assert [load.load_id for load in in_files(bench)] == [1, 2]
    assert files() == sorted(load.path for load in in_files(bench))
    assert (rows(bench), bench.value("select count(*) from raw.sessions")) == (before, 50)

    # on the way back, with one load in raw again and its file still there
    kill(bench, BRING_BACK, second_load)
    assert ([load.load_id for load in in_files(bench)], len(files())) == ([2], 2)
    assert rows(bench) == before
    ageing.bring_back(bench.warehouse, print, full_refresh=True)
    assert (in_files(bench), sorted(bench.rows(ROWS))) == ([], before)
    ageing.age(bench.warehouse, print)
    assert files() == sorted(load.path for load in in_files(bench))
    assert (len(files()), rows(bench)) == (2, before)
    assert bench.rows("select path from raw._cold_files where aged_at is null") == []
