"""Archived files are deleted when their time is over, and nothing is lost by it."""

from __future__ import annotations

import logging
from pathlib import Path

import psycopg
import pytest

from embedded.files import make_folder
from ingest.archive import delete_old, move_back
from ingest.source import Source


def test_old_files_go_unless_one_of_their_records_waits_or_they_were_never_loaded(bench) -> None:
    contract = bench.change_contract(after_load="archive", retention={"archive_days": 30}, max_reject_rate=0.6)
    archive, conninfo = bench.landing / "_archive" / "sessions", bench.warehouse.conninfo("ingest")

    def change(statement: str) -> None:
        with psycopg.connect(conninfo) as conn:
            conn.execute(statement.encode())

    bench.land("sessions/old.csv", "7,2024-01-01,true,DIRECT")
    bench.land("sessions/waits.csv", "8,2024-01-01,true,DIRECT", "x,2024-01-01,true,DIRECT")
    bench.load()
    assert delete_old(conninfo, contract, bench.landing) == []
    change("update raw._loads set finished_at = finished_at - interval '31 days'")
    bench.land("sessions/new.csv", "9,2024-01-02,true,DIRECT")
    bench.load()
    (archive / "unknown.csv").write_text("never loaded")
    assert delete_old(conninfo, contract, bench.landing) == ["sessions/old.csv"]
    assert sorted(path.name for path in archive.iterdir()) == ["new.csv", "unknown.csv", "waits.csv"]
    change("update raw._rejects set discarded_at = now()")
    assert delete_old(conninfo, contract, bench.landing) == ["sessions/waits.csv"]
    assert bench.rows("select userid from raw.sessions order by 1") == [(7,), (8,), (9,)], "what files brought stays"


def test_one_content_stays_as_long_as_its_newest_load_and_a_replaced_one_waits_for_nobody(bench) -> None:
    contract = bench.change_contract(after_load="archive", retention={"archive_days": 30}, max_reject_rate=0.6)
    archive, conninfo = bench.landing / "_archive" / "sessions", bench.warehouse.conninfo("ingest")
    row = "8,2024-01-01,true,DIRECT"
    bench.land("sessions/corrected.csv", row, "x,2024-01-01,true,DIRECT")
    bench.land("sessions/first.csv", "7,2024-01-01,true,DIRECT")
    bench.load()
    bench.land("sessions/corrected.csv", row, "9,2024-01-01,true,DIRECT")
    bench.load()
    with psycopg.connect(conninfo) as conn:
        conn.execute("update raw._loads set finished_at = finished_at - interval '31 days'")
    bench.land("sessions/again.csv", "7,2024-01-01,true,DIRECT")
    bench.load()
    assert delete_old(conninfo, contract, bench.landing) == ["sessions/corrected.csv", "sessions/corrected.csv.2"]
    assert sorted(path.name for path in archive.iterdir()) == ["again.csv", "first.csv"]


@pytest.mark.parametrize("is_free", [True, False], ids=["free", "taken"])
def test_content_that_comes_at_the_very_last_moment_is_not_archived_unread(bench, monkeypatch, caplog, is_free) -> None:
    """The sender renames a file onto the path between the last check and the move, and maybe one more after it."""
    bench.change_contract(after_load="archive")
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    archived = bench.landing / "_archive" / "sessions" / "a.csv"
    check, checked = Source.check_unchanged, []

    def rename_onto_it(record: str) -> None:
        bench.land("sessions/a.csv.part", record).rename(path)

    def check_and_be_overtaken(source: Source, moved_to: Path | None = None) -> None:
        if moved_to and not is_free:
            rename_onto_it("9,2024-01-03,true,DIRECT")
        check(source, moved_to)
        checked.append(moved_to)
        if len(checked) == 2:  # the first is of the load itself
            rename_onto_it("8,2024-01-02,true,DIRECT")

    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING):
        patched.setattr(Source, "check_unchanged", check_and_be_overtaken)
        assert [result.status for result in bench.load()] == ["loaded"]
    assert path.exists()
    assert archived.exists() is not is_free
    assert (f"was not loaded, and lies in {archived}" in caplog.text) is not is_free
    assert [result.status for result in bench.load()] == ["loaded"]
    assert bench.rows("select userid from raw.sessions") == [(8 if is_free else 9,)]
    assert not path.exists()


def test_what_an_earlier_ledger_does_not_know_is_moved_back_and_loaded_again(bench) -> None:
    bench.change_contract(after_load="archive")
    conninfo = bench.warehouse.conninfo("ingest")
    for name, user in (("old.csv", 1), ("both.csv", 2), ("both.csv", 3), ("both.csv", 4), ("taken.csv", 5)):
        bench.land(f"sessions/extract/{name}", f"{user},2024-01-01,true,DIRECT")
        bench.load()
    assert move_back(conninfo, bench.landing, make_folder).moved == []
    with psycopg.connect(conninfo) as conn:  # as after a restore of a backup of before
        conn.execute("delete from raw.sessions where userid > 2; delete from raw._loads where load_id > 2")
        conn.execute("update raw._loads set status = 'loaded', removed_by = null")
    bench.land("sessions/extract/taken.csv", "6,2024-01-01,true,DIRECT")
    (bench.landing / "_archive" / "sessions" / ".part-0a1b2c3d.both.csv").write_text("half of a file")
    found = move_back(conninfo, bench.landing, make_folder)
    assert found.moved == ["sessions/extract/both.csv"]
    assert found.left == [
        "sessions/extract/both.csv.2: sessions/extract/both.csv is there",
        "sessions/extract/taken.csv: sessions/extract/taken.csv is there",
    ]
    bench.load()
    assert bench.rows("select userid from raw.sessions order by 1") == [(1,), (4,), (6,)]
