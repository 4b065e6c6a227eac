"""Many files at once, two loaders at once, and loaders that are cut off."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from support.disk import small_disk

from ingest import ledger
from ingest.errors import WarehouseUnreachable
from ingest.load import LARGE_FILE_BYTES

SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])
# Several blocks of the stream, so that something can happen in the middle.
MANY = [f"{user},2024-01-01 00:00:00,true,PAID SEARCH" for user in range(60_000)]


@pytest.fixture(autouse=True)
def report_every_block(monkeypatch):
    monkeypatch.setattr("ingest.load_file.PROGRESS_SECONDS", 0)


def assert_untouched(bench):
    assert bench.value("select count(*) from raw.sessions") == 0
    assert bench.rows("select * from raw._loads") == []
    assert bench.rows("select * from raw._changed_days") == []
    assert bench.load_names() == []


def assert_no_orphans(bench):
    assert len(bench.load_names()) == bench.load_tables() + bench.load_tables("raw._removed_sessions")


@SIZES
def test_files_load_in_parallel_and_are_replaced_in_parallel(bench, large_file_bytes):
    for day in range(1, 13):
        bench.land(f"sessions/{day:02}.csv", *(f"{user},2024-01-{day:02},true,DIRECT" for user in range(2000)))
    results = bench.load(workers=4, large_file_bytes=large_file_bytes)
    assert [result.source_file for result in results] == [f"sessions/{day:02}.csv" for day in range(1, 13)]
    assert {result.status for result in results} == {"loaded"}
    for day, result in enumerate(results, 1):
        assert bench.changed_days(result.load_id) == [f"2024-01-{day:02}"]
    for day in range(1, 13):
        bench.land(f"sessions/{day:02}.csv", *(f"{user},2024-02-{day:02},true,DIRECT" for user in range(1500)))
    results = bench.load(workers=4, large_file_bytes=large_file_bytes)
    for day, result in enumerate(results, 1):
        assert bench.changed_days(result.load_id) == [f"2024-01-{day:02}", f"2024-02-{day:02}"]
    assert bench.value("select count(*) from raw.sessions") == 12 * 1500


def load_twice_at_once(bench, large_file_bytes):
    both_under_way = threading.Barrier(2, timeout=30)

    def load(_):
        both_under_way.wait()
        return bench.load(large_file_bytes=large_file_bytes)[0]

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(load, range(2)))


@SIZES
def test_two_loaders_load_a_file_once(bench, large_file_bytes):
    bench.land("sessions/a.csv", *MANY)
    results = load_twice_at_once(bench, large_file_bytes)
    assert sorted(result.status for result in results) == ["loaded", "skipped"]
    assert len({result.load_id for result in results}) == 1
    assert bench.value("select count(*) from raw.sessions") == len(MANY)
    assert bench.value("select count(*) from raw._loads") == 1


@SIZES
def test_connection_lost_in_the_middle_leaves_nothing(bench, large_file_bytes):
    bench.land("sessions/a.csv", *MANY)
    killed = []

    def kill(progress):
        if not killed and 0 < progress.read_bytes < progress.size_bytes:
            # the stream has begun: the server works on COPY from here on
            killed.extend(
                bench.rows(
                    "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
                    " where usename = 'ingest' and pid <> pg_backend_pid() and datname = current_database()"
                )
            )

    with pytest.raises(WarehouseUnreachable):
        bench.load(large_file_bytes=large_file_bytes, progress=kill)
    assert killed
    assert set(killed) == {(True,)}
    assert_untouched(bench)
    assert [result.status for result in bench.load(large_file_bytes=large_file_bytes)] == ["loaded"]
    assert bench.value("select count(*) from raw.sessions") == len(MANY)


def test_other_files_stay_when_the_connection_is_lost(bench):
    bench.land("sessions/first.csv", *MANY, *MANY)
    bench.land("sessions/second.csv", *MANY)

    def kill(progress):
        if progress.source_file == "sessions/second.csv":
            bench.rows("select pg_terminate_backend(pid, 10000) from pg_stat_activity where usename = 'ingest'")

    with pytest.raises(WarehouseUnreachable):
        bench.load(progress=kill, workers=1)
    assert bench.rows("select source_file, status from raw._loads") == [("sessions/first.csv", "loaded")]
    assert bench.value("select count(*) from raw.sessions") == 2 * len(MANY)
    assert [result.status for result in bench.load()] == ["skipped", "loaded"]


def test_no_server_is_unreachable(bench):
    bench.warehouse = replace(bench.warehouse, port=1)
    with pytest.raises(WarehouseUnreachable) as raised:
        bench.load()
    assert raised.value.transient


@SIZES
def test_file_that_grows_while_it_is_read_is_left_for_the_next_load(bench, large_file_bytes):
    path = bench.land("sessions/a.csv", *MANY)

    def grow(progress):
        if progress.read_bytes < progress.size_bytes:
            with path.open("a") as file:
                file.write("7,2024-01-02 00:00:00,true,DIRECT\n")

    (result,) = bench.load(large_file_bytes=large_file_bytes, progress=grow)
    assert result.status == "unfinished"
    assert "changed while it was read" in result.error
    assert_untouched(bench)
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    assert result.status == "loaded"
    assert result.loaded_count > len(MANY)


def test_half_a_record_at_the_end_of_a_growing_file_is_no_refusal(bench):
    path = bench.land("sessions/a.csv", *MANY)
    with path.open("a") as file:
        file.write("7,2024-01-0")

    def grow(progress):
        if progress.read_bytes == progress.size_bytes:
            with path.open("a") as file:
                file.write("2 00:00:00,true,DIRECT\n")

    (result,) = bench.load(progress=grow)
    assert result.status == "unfinished"
    assert_untouched(bench)


def test_interrupted_load_rolls_back_and_ends(bench):
    bench.land("sessions/a.csv", *MANY)

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.load(progress=interrupt)
    assert_untouched(bench)


def test_small_load_does_not_wait_for_a_reader(bench):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=1)
    with psycopg.connect(bench.warehouse.conninfo()) as reader:
        assert reader.execute("select count(*) from raw.sessions").fetchone() == (1,)
        bench.land("sessions/b.csv", "8,2024-01-01,true,DIRECT")
        bench.land("sessions/c.csv", "8,2024-01-01,true,DIRECT", *MANY)
        results = bench.load(large_file_bytes=1000)
        assert [result.status for result in results] == ["skipped", "loaded", "loaded"]


@SIZES
def test_two_loaders_replace_a_file_once(bench, large_file_bytes):
    bench.land("sessions/a.csv", *MANY)
    bench.load(large_file_bytes=large_file_bytes)
    bench.land("sessions/a.csv", *MANY[1:])
    results = load_twice_at_once(bench, large_file_bytes)
    assert sorted(result.status for result in results) == ["loaded", "skipped"]
    assert bench.value("select count(*) from raw.sessions") == len(MANY) - 1
    assert bench.value("select count(*) from raw._removed_sessions") == len(MANY)
    assert bench.rows("select status from raw._loads order by load_id") == [("replaced",), ("loaded",)]


@SIZES
def test_reader_sees_one_content_of_a_file_while_another_replaces_it(bench, large_file_bytes):
    """Rows of a small file go at once; the table of a large one waits until nobody reads it."""
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)
    bench.land("sessions/a.csv", "8,2024-01-01,true,DIRECT")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(bench.warehouse.conninfo("transform")) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert reader.execute("select userid from raw.sessions").fetchall() == [(7,)]
        loading = pool.submit(bench.load, large_file_bytes=large_file_bytes)
        wait([loading], timeout=1 if large_file_bytes == 1 else 30)
        assert loading.done() == (large_file_bytes != 1)
        assert reader.execute("select userid from raw.sessions").fetchall() == [(7,)]
        reader.rollback()
        assert [result.status for result in loading.result(timeout=30)] == ["loaded"]
        assert reader.execute("select userid from raw.sessions").fetchall() == [(8,)]


def test_reader_that_never_ends_makes_a_replacement_fail_and_not_hang(bench, monkeypatch):
    monkeypatch.setattr("ingest.ledger.LOCK_TIMEOUT", "100ms")
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    (before,) = bench.load(large_file_bytes=1)
    bench.land("sessions/a.csv", "8,2024-01-01,true,DIRECT")
    with psycopg.connect(bench.warehouse.conninfo("transform")) as reader:
        reader.execute("select userid from raw.sessions")
        with pytest.raises(WarehouseUnreachable, match="lock timeout"):
            bench.load(large_file_bytes=1)
    assert bench.rows("select userid, _load_id from raw.sessions") == [(7, before.load_id)]
    assert bench.value("select count(*) from raw._loads") == 1
    assert_no_orphans(bench)
    assert [result.status for result in bench.load(large_file_bytes=1)] == ["loaded"]


def test_sweep_leaves_what_a_load_attaches_meanwhile(bench):
    """The load under way commits between the sweep's look for tables and its look for who has claimed them."""
    conninfo = bench.warehouse.conninfo("ingest")
    with psycopg.connect(conninfo, autocommit=True) as load, psycopg.connect(conninfo, autocommit=True) as other:
        load.execute("create table raw.sessions_load_77_0 (like raw.sessions)")
        load.execute("create table raw.sessions_load_78_0 (like raw.sessions)")
        load.execute("begin")
        ledger.claim(load, 77)
        ledger.sweep(other, "sessions")
        assert bench.load_names() == ["sessions_load_77_0"], "claimed; the other is nobody's"
        load.execute("alter table raw.sessions_load_77_0 inherit raw.sessions")
        try_claim = ledger._try_claim

        def claim_after_commit(conn, load_id):
            load.execute("commit")
            return try_claim(conn, load_id)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ledger, "_try_claim", claim_after_commit)
            ledger.sweep(other, "sessions")
        assert bench.load_names() == ["sessions_load_77_0"]


@pytest.fixture
def tiny_disk(bench):
    """A tablespace of 12 MB, where the role ingest makes its tables."""
    name = sql.Identifier(f"tiny_{bench.warehouse.database}")
    with (
        small_disk(bench.warehouse, megabytes=12) as disk,
        psycopg.connect(bench.warehouse.conninfo(), autocommit=True) as conn,
    ):
        conn.execute(sql.SQL("create tablespace {} location {}").format(name, str(disk / "data")))
        conn.execute(sql.SQL("grant create on tablespace {} to ingest").format(name))
        conn.execute(sql.SQL("alter table raw.sessions set tablespace {}").format(name))
        conn.execute(
            sql.SQL("alter role ingest in database {} set default_tablespace = {}").format(
                sql.Identifier(bench.warehouse.database), name
            )
        )
        yield
        conn.execute("drop schema raw cascade")
        conn.execute(sql.SQL("drop tablespace {}").format(name))


@SIZES
def test_full_disk_is_a_clear_error_and_leaves_nothing(bench, tiny_disk, large_file_bytes):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)

    def vacuum():
        with psycopg.connect(bench.warehouse.conninfo("ingest"), autocommit=True) as conn:
            conn.execute("vacuum raw.sessions")

    vacuum()  # so that the files that it writes are there when the disk is full
    bench.land("sessions/b.csv", *(MANY * 6))
    with pytest.raises(WarehouseUnreachable, match="No space left on device"):
        bench.load(large_file_bytes=large_file_bytes)
    assert bench.rows("select userid from raw.sessions") == [(7,)]
    assert bench.rows("select source_file, status from raw._loads") == [("sessions/a.csv", "loaded")]
    assert bench.value("select count(*) from raw._changed_days") == 1
    assert_no_orphans(bench)
    vacuum()  # rows that were rolled back take room until then
    bench.land("sessions/b.csv", *MANY)
    assert [result.status for result in bench.load(large_file_bytes=large_file_bytes)] == ["skipped", "loaded"]


def test_progress_ends_at_the_size_of_the_file(bench):
    path = bench.land("sessions/a.csv", *MANY)
    seen = []
    bench.load(progress=seen.append)
    assert seen[-1].read_bytes == seen[-1].size_bytes == path.stat().st_size
    assert {progress.source_file for progress in seen} == {"sessions/a.csv"}
