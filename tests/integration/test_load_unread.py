"""A loaded file that nobody has touched is skipped without being read; whatever may hold something else is read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support.unread import opened_below, settle

from ingest import landing, source
from ingest.load import LARGE_FILE_BYTES


def states(bench):
    return bench.rows("select file_state from raw._loads where status = 'loaded' order by source_file")


@pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])
def test_an_unchanged_file_is_not_opened_again(bench, large_file_bytes):
    for name in ("a", "b"):
        bench.land(f"sessions/{name}.csv", *["7,2024-01-01,true,DIRECT"] * 40, "no record")
    settle(bench.landing)
    first = bench.load(large_file_bytes=large_file_bytes)
    ledger = bench.rows("select * from raw._loads")
    with opened_below(bench.landing) as opened:
        second = bench.load(large_file_bytes=large_file_bytes)
    assert opened == []
    assert [result.status for result in second] == ["skipped"] * 2
    described = [
        [(each.source_file, each.load_id, each.loaded_count, each.rejected_count, each.size_bytes) for each in results]
        for results in (first, second)
    ]
    assert described[0] == described[1]
    assert bench.rows("select * from raw._loads") == ledger


def test_more_files_to_skip_are_no_more_statements(bench, monkeypatch):
    statements: list[object] = []
    execute = psycopg.Connection.execute

    def count(conn, query, *arguments, **options):
        statements.append(query)
        return execute(conn, query, *arguments, **options)

    def skip_all() -> int:
        settle(bench.landing)
        bench.load()
        statements.clear()
        assert {result.status for result in bench.load()} == {"skipped"}
        return len(statements)

    monkeypatch.setattr(psycopg.Connection, "execute", count)
    bench.land("sessions/0.csv", "7,2024-01-01,true,DIRECT")
    one = skip_all()
    for number in range(1, 6):
        bench.land(f"sessions/{number}.csv", "7,2024-01-01,true,DIRECT")
    assert skip_all() == one


def test_a_file_written_over_in_place_is_found_though_size_and_time_are_as_before(bench):
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    settle(bench.landing)
    bench.load()
    before = path.stat()
    with path.open("r+") as file:
        file.write(path.read_text().replace("7,", "8,"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert [result.status for result in bench.load()] == ["loaded"]
    assert bench.rows("select userid from raw.sessions") == [(8,)]


def copy_anew(path: Path) -> None:
    """As a backup that is restored elsewhere."""
    copy = Path(shutil.copy2(path, path.with_suffix(".part")))
    copy.replace(path)


@pytest.mark.parametrize("change", [Path.touch, copy_anew], ids=["touched", "copied"])
def test_a_file_that_only_looks_new_is_read_once(bench, change: Callable[[Path], None]):
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    settle(bench.landing)
    bench.load()
    change(path)
    settle(bench.landing)
    for expected in (["a.csv"], []):
        with opened_below(bench.landing) as opened:
            (result,) = bench.load()
        assert (result.status, sorted({*opened})) == ("skipped", expected)


def test_a_second_write_within_one_tick_of_the_clock_is_found(bench, monkeypatch):
    """The file system's clock is so coarse here that both writes look the same."""
    for module in (landing, source):
        monkeypatch.setattr(module, "state_of", lambda _: "as ever")
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load()
    assert states(bench) == [(None,)]
    bench.land("sessions/a.csv", "8,2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load()] == ["loaded"]
    assert bench.rows("select userid from raw.sessions") == [(8,)]


def test_a_file_that_changes_while_it_is_read_is_read_again(bench):
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    settle(bench.landing)
    bench.load(progress=lambda _: path.chmod(0o640))  # a change of which neither size nor time of writing tells
    assert states(bench) == [(None,)]
    with opened_below(bench.landing) as opened:
        assert [result.status for result in bench.load()] == ["skipped"]
    assert "a.csv" in opened


def test_a_refusal_is_forgotten_when_the_loaded_file_is_back(bench, tmp_path):
    kept, link = bench.land("sessions/.kept/a.csv", "7,2024-01-01,true,DIRECT"), bench.landing / "sessions" / "a.csv"
    link.symlink_to(kept)
    settle(bench.landing)
    bench.load()
    for target, status in ((tmp_path, "refused"), (kept, "skipped")):
        link.unlink()
        link.symlink_to(target)
        assert [result.status for result in bench.load()] == [status]
    assert bench.rows("select status from raw._loads") == [("loaded",)]


def test_a_loaded_file_still_moves_to_the_archive(bench):
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    settle(bench.landing)
    bench.load()
    bench.change_contract(after_load="archive")
    assert [result.status for result in bench.load()] == ["skipped"]
    assert not path.exists()
