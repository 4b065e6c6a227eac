"""Archived files are deleted when their time is over, and nothing is lost by it."""

from __future__ import annotations

import psycopg

from ingest.archive import delete_old


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
