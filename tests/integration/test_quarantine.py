"""Refused records wait in quarantine: they are listed, exported and replayed; loaded files can be taken out again."""

from __future__ import annotations

import gzip
import logging
import re
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from support.quarantine import RECORDS, REFUSED, Quarantine

from ingest import quarantine
from ingest.errors import NothingLoaded
from ingest.load import LARGE_FILE_BYTES
from ingest.quarantine import Reject, RejectSummary, Replayed

SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])
LEDGER = "select status, record_count, loaded_count, rejected_count from raw._loads order by load_id"


@pytest.fixture
def ward(bench):
    return Quarantine(bench)


@SIZES
def test_refused_records_are_listed_and_shown(ward, large_file_bytes):
    ward.bench.land("sessions/a.csv", *RECORDS)
    (result,) = ward.bench.load(large_file_bytes=large_file_bytes)
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 2, 4)
    assert ward.users() == [(7, "2024-01-01"), (8, "2024-01-04")]
    assert ward.bench.changed_days(result.load_id) == ["2024-01-01", "2024-01-04"]
    file = ("sessions", "sessions/a.csv")
    assert ward.listed() == [
        RejectSummary(*file, "wrong_type", "userid", 2, 3, REFUSED[0][3]),
        RejectSummary(*file, "missing_value", "userid", 1, 4, REFUSED[1][3]),
        RejectSummary(*file, "wrong_type", "is_paid", 1, 7, REFUSED[2][3]),
    ]
    assert ward.records("sessions/a.csv") == [Reject(*refused) for refused in REFUSED]
    assert ward.bench.rows("select feed, load_id, replayed_at from raw._rejects") == [
        ("sessions", result.load_id, None)
    ] * len(REFUSED)
    assert ward.bench.rows(LEDGER) == [("loaded", 6, 2, 4)]


@pytest.mark.parametrize(
    ("csv", "name"),
    [
        ({}, "a.csv"),
        ({}, "a.csv.gz"),
        ({"delimiter": ";", "quote": "'"}, "a.csv"),
        ({"header": False}, "a.csv"),
        ({"encoding": "latin-1"}, "a.csv"),
        ({"encoding": "utf-16"}, "a.csv"),
        ({"encoding": "utf-16-be"}, "a.csv"),
    ],
    ids=lambda value: str(value),
)
def test_export_that_is_corrected_loads_under_a_new_name(ward, csv, name):
    ward.bench.change_contract(csv=csv)
    delimiter, encoding = csv.get("delimiter", ","), csv.get("encoding", "utf-8")
    lines = [] if csv.get("header") is False else ["medium,time_started,is_paid,userid"]
    order = [0, 1, 2, 3] if csv.get("header") is False else [3, 1, 2, 0]
    for record in (RECORDS[0], "seven,2024-01-02,true,CAFÉ", RECORDS[4]):
        fields = record.split(",")
        lines.append(",".join(fields[place] for place in order))
    content = "".join(line.replace(",", delimiter) + "\n" for line in lines).encode(encoding)
    folder = ward.bench.landing / "sessions"
    folder.mkdir()
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    (result,) = ward.bench.load()
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 1, 2), result.error

    text = ward.export(f"sessions/{name}").decode(encoding)
    assert text == "".join(line.replace(",", delimiter) + "\n" for line in [*lines[:-3], *lines[-2:]])
    corrected = text.replace("seven", "17").replace("maybe", "false")
    (folder / "corrected.csv").write_bytes(corrected.encode(encoding))
    result = next(result for result in ward.bench.load() if result.source_file == "sessions/corrected.csv")
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 2, 0), result.error
    assert ward.users() == [(7, "2024-01-01"), (17, "2024-01-02"), (9, "2024-01-05")]
    assert ward.bench.value("select medium from raw.sessions where userid = 17") == "CAFÉ"


def test_export_is_of_a_loaded_file(ward):
    with pytest.raises(NothingLoaded, match=r"sessions/none\.csv: no file of that name is loaded"):
        ward.export("sessions/none.csv")
    ward.bench.land("sessions/a.csv", RECORDS[0])
    ward.bench.load()
    assert ward.export("sessions/a.csv") == b"userid,time_started,is_paid,medium\n", "nothing was refused"


@SIZES
def test_replay_loads_what_fits_now_and_loads_it_once(ward, large_file_bytes):
    ward.bench.land("sessions/a.csv", *RECORDS)
    (result,) = ward.bench.load(large_file_bytes=large_file_bytes)
    assert ward.replay() == [Replayed("sessions/a.csv", 0, 4)], "nothing has changed"
    assert ward.bench.rows(LEDGER) == [("loaded", 6, 2, 4)]
    assert ward.waiting() == [3, 4, 7, 8]

    ward.bench.change_contract(column="userid", nullable=True)
    for loaded in (1, 0):
        assert ward.replay() == [Replayed("sessions/a.csv", loaded, 3)]
        assert ward.users() == [(7, "2024-01-01"), (None, "2024-01-03"), (8, "2024-01-04")]
        assert ward.bench.rows(LEDGER) == [("loaded", 6, 3, 3), ("replayed", 1, 1, 0)]
        assert ward.waiting() == [3, 7, 8]
    ((load_id, of, source_file),) = ward.bench.rows(
        "select load_id, replay_of, source_file from raw._loads where status = 'replayed'"
    )
    assert (of, source_file) == (result.load_id, "sessions/a.csv")
    assert ward.bench.changed_days(load_id) == ["2024-01-03"]
    assert ward.bench.value("select _load_id from raw.sessions where userid is null") == load_id
    assert ward.bench.value("select line_number from raw._rejects where replayed_at > now() - interval '1 hour'") == 4
    assert [summary.record_count for summary in ward.listed()] == [2, 1]
    (skipped,) = ward.bench.load(large_file_bytes=large_file_bytes)
    assert (skipped.status, skipped.loaded_count, skipped.rejected_count) == ("skipped", 3, 3)


def test_two_replays_at_once_load_a_record_once(ward):
    ward.bench.land(
        "sessions/a.csv", *(f",2024-01-{1 + number % 28:02},true,EMAIL" for number in range(2000)), *RECORDS
    )
    ward.bench.change_contract(max_reject_rate=1.0)
    ward.bench.load()
    ward.bench.change_contract(column="userid", nullable=True)
    both = threading.Barrier(2, timeout=30)

    def replay(_):
        both.wait()
        return ward.replay()

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(replay, range(2)))
    assert sum(result.loaded_count for results in done for result in results) == 2001
    assert ward.bench.value("select count(*) from raw.sessions") == 2003
    assert ward.bench.rows(LEDGER) == [("loaded", 2006, 2003, 3), ("replayed", 2001, 2001, 0)]


def test_replay_takes_an_alias_and_an_accepted_value(ward):
    ward.bench.change_contract(column="medium", accepted_values=("DIRECT", "EMAIL"))
    ward.bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT", "8,2024-01-02,true,POST", "9,2024-01-03,true,FAX")
    header = "userid,time_started,is_paid,channel"
    ward.bench.land("sessions/b.csv", "5,2024-01-04,true,EMAIL", ",2024-01-05,true,EMAIL", header=header)
    a, b = ward.bench.load()
    assert (a.rejected_count, b.rejected_count, b.added_columns) == (2, 1, ("channel",))
    assert ward.listed()[0].reason == "not_accepted"

    ward.bench.change_contract(column="medium", accepted_values=("DIRECT", "EMAIL", "POST"), aliases=("Channel",))
    ward.bench.change_contract(column="userid", nullable=True)
    assert ward.replay(source_file="sessions/none.csv") == []
    assert ward.replay(source_file="sessions/a.csv") == [Replayed("sessions/a.csv", 1, 1)]
    assert ward.replay() == [Replayed("sessions/a.csv", 0, 1), Replayed("sessions/b.csv", 1, 0)]
    assert ward.bench.rows("select userid, medium from raw.sessions order by time_started") == [
        *((7, "DIRECT"), (8, "POST"), (5, None)),
        (None, "EMAIL"),
    ]
    assert [summary.source_file for summary in ward.listed()] == ["sessions/a.csv"]


def test_replay_says_anew_why_a_record_is_refused(ward):
    ward.bench.land("sessions/a.csv", RECORDS[0], ",2024-01-03,perhaps,EMAIL")
    ward.bench.load()
    ward.bench.change_contract(column="userid", nullable=True)
    ward.replay()
    (reject,) = ward.records("sessions/a.csv")
    assert (reject.column_name, reject.reason) == ("is_paid", "wrong_type")


@pytest.mark.parametrize("folder", ["extract_date=2023-05-06/", ""], ids=["dated", "undated"])
def test_replay_into_a_full_extract_keeps_its_date(ward, folder):
    ward.bench.contracts["accounts"] = accounts = ward.contract.model_validate(
        {
            **{"feed": "accounts", "domain": "shop", "description": "Accounts.", "delivery": "full_extract"},
            **{"user": "id", "key": ["id"], "cadence": "daily", "max_reject_rate": 1.0},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
            "columns": [{"name": "id", "type": "bigint", "nullable": False, "description": "Who."}],
        }
    )
    ward.bench.change_contract()
    ward.bench.land(f"accounts/{folder}a.csv", '""', header="id")
    days = [datetime.now(UTC).date()]
    (result,) = ward.bench.load("accounts")
    days.append(datetime.now(UTC).date())
    assert (result.loaded_count, result.rejected_count) == (0, 1), result.error
    accounts = ward.bench.change_contract("accounts", column="id", type="text")
    replayed = quarantine.replay(ward.conninfo, accounts, run_id=None)
    assert replayed == [Replayed(result.source_file, 1, 0)]
    extract_date = ward.bench.value("select _extract_date from raw.accounts")
    assert extract_date in ([date(2023, 5, 6)] if folder else days)
    assert ward.bench.value("select event_date from raw._changed_days") == extract_date


@SIZES
@pytest.mark.parametrize("how", ["replaced", "unloaded"])
def test_what_was_replayed_from_a_file_goes_with_it(ward, how, large_file_bytes):
    ward.bench.land("sessions/a.csv", *RECORDS)
    ward.bench.land("sessions/b.csv", "1,2024-02-01,true,DIRECT", ",2024-02-02,true,DIRECT")
    ward.bench.load(large_file_bytes=large_file_bytes)
    ward.bench.change_contract(column="userid", nullable=True)
    ward.replay(source_file="sessions/a.csv")
    if how == "replaced":
        ward.bench.land("sessions/a.csv", "3,2024-03-03,true,DIRECT")
        new, _ = ward.bench.load(large_file_bytes=large_file_bytes)
        load_id = new.load_id
        left, days = [(1, "2024-02-01"), (3, "2024-03-03")], ["2024-03-03"]
    else:
        assert ward.unload("sessions/a.csv") == 3
        load_id = ward.bench.value("select load_id from raw._loads where status = 'removal'")
        left, days = [(1, "2024-02-01")], []
    assert ward.users() == left
    assert ward.bench.removed() == [(7, load_id), (8, load_id), (None, load_id)]
    assert ward.bench.changed_days(load_id) == ["2024-01-01", "2024-01-03", "2024-01-04", *days]
    gone = ward.bench.rows(f"select status, removed_by from raw._loads where status = '{how}'")
    assert gone == [(how, load_id)] * 2, "the load and its replay"

    # what of it still waits is no longer listed nor replayed
    assert [summary.source_file for summary in ward.listed()] == ["sessions/b.csv"]
    assert ward.records("sessions/a.csv") == []
    assert ward.replay() == [Replayed("sessions/b.csv", 1, 0)]
    assert ward.waiting() == [3, 7, 8]


@SIZES
def test_unload_takes_the_rows_out_until_the_file_is_loaded_again(ward, large_file_bytes):
    ward.bench.land("sessions/a.csv", *RECORDS)
    ward.bench.land("sessions/b.csv", "1,2024-02-01,true,DIRECT")
    old, other = ward.bench.load(large_file_bytes=large_file_bytes)
    assert ward.unload("sessions/a.csv") == 2
    assert ward.users() == [(1, "2024-02-01")]
    ((load_id, run_id, source_file, count),) = ward.bench.rows(
        "select load_id, run_id, source_file, record_count from raw._loads where status = 'removal'"
    )
    assert (run_id, source_file, count) == ("unload", "sessions/a.csv", 0)
    assert ward.bench.changed_days(load_id) == ["2024-01-01", "2024-01-04"]
    assert ward.bench.removed() == [(7, load_id), (8, load_id)]
    assert ward.bench.load_tables("raw._removed_sessions") == (large_file_bytes == 1)
    ledger = ward.bench.rows("select load_id, status from raw._loads order by load_id")
    assert ledger == [*sorted([(old.load_id, "unloaded"), (other.load_id, "loaded")]), (load_id, "removal")]
    for source_file in ("sessions/a.csv", "sessions/none.csv"):
        with pytest.raises(NothingLoaded, match=f"{re.escape(source_file)}: no file of that name is loaded"):
            ward.unload(source_file)
    assert ward.bench.rows("select load_id, status from raw._loads order by load_id") == ledger

    again, _ = ward.bench.load(large_file_bytes=large_file_bytes)
    assert (again.status, again.loaded_count, again.rejected_count) == ("loaded", 2, 4)
    assert ward.users() == [(7, "2024-01-01"), (8, "2024-01-04"), (1, "2024-02-01")]


def test_unload_takes_out_a_file_that_brought_nothing_but_rejects(ward):
    ward.bench.change_contract(max_reject_rate=1.0)
    ward.bench.land("sessions/a.csv", RECORDS[1])
    (result,) = ward.bench.load()
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 0, 1)
    assert ward.unload("sessions/a.csv") == 0
    assert ward.listed() == []


@SIZES
def test_files_of_an_append_feed_are_immutable(ward, large_file_bytes):
    ward.bench.change_contract(delivery="append")
    ward.bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    ward.bench.load(large_file_bytes=large_file_bytes)
    assert [result.status for result in ward.bench.load(large_file_bytes=large_file_bytes)] == ["skipped"]
    ward.bench.land("sessions/a.csv", "8,2024-01-02,true,DIRECT")
    (refused,) = ward.bench.load(large_file_bytes=large_file_bytes)
    assert refused.status == "refused"
    assert "immutable (delivery: append)" in refused.error
    assert "growth unload sessions/a.csv" in refused.error
    assert ward.users() == [(7, "2024-01-01")]
    assert ward.bench.rows("select status, error from raw._loads order by load_id") == [
        ("loaded", None),
        ("refused", refused.error),
    ]
    ward.unload("sessions/a.csv")
    assert [result.status for result in ward.bench.load(large_file_bytes=large_file_bytes)] == ["loaded"]
    assert ward.users() == [(8, "2024-01-02")]


def test_loaded_files_are_archived_and_known_again(ward):
    ward.bench.change_contract(after_load="archive")
    old = ward.bench.land("sessions/2024/a.csv", "7,2024-01-01,true,DIRECT")
    content = old.read_bytes()
    bad = ward.bench.land("sessions/bad.csv", "x,2024-01-01,true,DIRECT")
    assert [result.status for result in ward.bench.load()] == ["loaded", "refused"]
    archived = ward.bench.landing / "_archive" / "sessions" / "2024" / "a.csv"
    assert (old.exists(), bad.exists(), archived.read_bytes()) == (False, True, content)
    assert [result.source_file for result in ward.bench.load()] == ["sessions/bad.csv"]
    assert ward.users() == [(7, "2024-01-01")], "a file that went away changes nothing"

    old.write_bytes(content)
    assert ward.bench.load()[0].status == "skipped"
    ward.bench.land("sessions/2024/a.csv", "8,2024-01-02,true,DIRECT")
    assert ward.bench.load()[0].status == "loaded"
    assert ward.users() == [(8, "2024-01-02")]
    assert [path.name for path in sorted(archived.parent.iterdir())] == ["a.csv", "a.csv.2", "a.csv.3"]
    assert archived.read_bytes() == content
    assert not old.exists()


def test_content_that_comes_while_a_file_is_loaded_is_not_archived_unread(ward, monkeypatch):
    """The sender replaces the file after the last check before the commit."""
    ward.bench.change_contract(after_load="archive")
    path = ward.bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    load = sys.modules["ingest.load_file"]._load

    def load_then_land(*arguments):
        result = load(*arguments)
        if path.exists() and "2024-01-01" in path.read_text():
            ward.bench.land("sessions/a.csv", "8,2024-01-02,true,DIRECT")
        return result

    monkeypatch.setattr("ingest.load_file._load", load_then_land)
    assert [result.status for result in ward.bench.load()] == ["loaded"]
    assert path.exists()
    assert [result.status for result in ward.bench.load()] == ["loaded"]
    assert ward.users() == [(8, "2024-01-02")]
    assert not path.exists()


def test_file_that_cannot_be_archived_is_loaded_all_the_same(ward, caplog):
    ward.bench.change_contract(after_load="archive")
    path = ward.bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    (ward.bench.landing / "_archive").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        assert [result.status for result in ward.bench.load()] == ["loaded"]
    assert "sessions/a.csv is loaded, but cannot be moved to the archive" in caplog.text
    assert path.exists()
    assert ward.bench.rows("select status from raw._loads") == [("loaded",)]
