"""Archived files are deleted when their time is over, and nothing is lost by it."""

from __future__ import annotations

import psycopg

from ingest.archive import delete_old, move_back


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


def test_what_an_earlier_ledger_does_not_know_is_moved_back_and_loaded_again(bench) -> None:
    bench.change_contract(after_load="archive")
    conninfo = bench.warehouse.conninfo("ingest")
    for name, user in (("old.csv", 1), ("both.csv", 2), ("both.csv", 3), ("both.csv", 4), ("taken.csv", 5)):
        bench.land(f"sessions/extract/{name}", f"{user},2024-01-01,true,DIRECT")
        bench.load()
    assert move_back(conninfo, bench.landing).moved == []
    with psycopg.connect(conninfo) as conn:  # as after a restore of a backup of before
        conn.execute("delete from raw.sessions where userid > 2; delete from raw._loads where load_id > 2")
        conn.execute("update raw._loads set status = 'loaded', removed_by = null")
    bench.land("sessions/extract/taken.csv", "6,2024-01-01,true,DIRECT")
    found = move_back(conninfo, bench.landing)
    assert found.moved == ["sessions/extract/both.csv"]
    assert found.left == [
        "sessions/extract/both.csv.2: sessions/extract/both.csv is there",
        "sessions/extract/taken.csv: sessions/extract/taken.csv is there",
    ]
    bench.load()
    assert bench.rows("select userid from raw.sessions order by 1") == [(1,), (4,), (6,)]
