"""What cannot be loaded is refused whole, with a reason; everything else still loads."""

from __future__ import annotations

import errno
import gzip
import os
import re
import tempfile
from types import SimpleNamespace

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ingest.judge
import ingest.load_file
import ingest.reading
import ingest.source
from growth.load import load
from ingest.ddl import ensure_raw
from ingest.errors import IngestError, RawSchemaMismatchError
from ingest.load import LARGE_FILE_BYTES

SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])
HEADER = b"userid,time_started,is_paid,medium\n"
GOOD = b"7,2024-01-01,true,DIRECT\n"


@SIZES
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + GOOD + b"seven,2024-01-01,true,\n", "  line 3, column userid: wrong_type: invalid input syntax"),
        (HEADER + GOOD + b"7,2024-01-01,true\n", "  line 3, column medium: missing_column: has 3 fields, the header 4"),
        (HEADER + GOOD + b'7,2024-01-01,true,"open\n' + GOOD, "  line 3, column medium: unterminated_quote: "),
        (HEADER + GOOD + b"7,2024-01-01,true,a\x00b\n", "  line 3, column medium: nul_byte: a NUL byte"),
        (HEADER + GOOD + b"7,infinity,true,\n", "  line 3, column time_started: out_of_range: an event time must be"),
        (HEADER + b"7,10000-01-01,true,\n", "  line 2, column time_started: out_of_range: an event time must be"),
        (
            HEADER + b"7,18/11/26,true,\n",
            '  line 2, column time_started: two_digit_year: "18/11/26" has no year of four digits: deliver it in',
        ),
        (
            HEADER + b"7,2024-01-05 10:00 UTC+2,true,\n",
            '  line 2, column time_started: offset_behind_letters: "2024-01-05 10:00 UTC+2" has an offset behind'
            " letters, whose sign would be taken for its opposite: deliver it as +02:00, or Z for UTC",
        ),
        (HEADER + GOOD + b"\\.\n" + GOOD, "  line 3, column time_started: missing_column: "),
        (HEADER + b'7,2024-01-01,true,"\n\n"\n' + b"x,2024-01-01,true,\n", "  line 5, column userid: wrong_type: "),
        (b"", "the file is empty (0 bytes)"),
        (GOOD, "header is not the contract's"),
        (HEADER.replace(b"is_paid,", b""), "header is not the contract's (missing: is_paid)"),
    ],
)
def test_refused_file_leaves_nothing_but_its_reason(bench, large_file_bytes, content, reason):
    folder = bench.landing / "sessions"
    folder.mkdir()
    (folder / "bad.csv").write_bytes(content)
    bench.land("sessions/good.csv", "7,2024-01-02,true,DIRECT")
    bad, good = bench.load(large_file_bytes=large_file_bytes)
    assert (bad.status, good.status) == ("refused", "loaded")
    # the first line of a refusal because of records says how many they are
    assert bad.error.splitlines()[1 if reason.startswith(" ") else 0].startswith(reason), bad.error
    assert bad.size_bytes == len(content)
    assert bench.rows("select userid, time_started::date::text from raw.sessions") == [(7, "2024-01-02")]
    assert bench.rows("select load_id, event_date::text from raw._changed_days") == [(good.load_id, "2024-01-02")]
    assert bench.value("select count(*) from raw._rejects") == 0
    assert len(bench.load_names()) == bench.load_tables() == (1 if large_file_bytes == 1 else 0)
    ledger = "select load_id, source_file, status, error, record_count, length(sha256) from raw._loads"
    expected = [(bad.load_id, "sessions/bad.csv", "refused", bad.error, 0, 64)]
    assert bench.rows(f"{ledger} where status <> 'loaded'") == expected
    # a retry updates the refusal
    bad_again, good_again = bench.load(large_file_bytes=large_file_bytes, run_id="second")
    assert (bad_again.status, bad_again.load_id, good_again.status) == ("refused", bad.load_id, "skipped")
    assert bench.rows(f"{ledger} where status <> 'loaded'") == expected
    assert bench.value("select run_id from raw._loads where status = 'refused'") == "second"


@pytest.mark.parametrize("name", ["x.csv", "extract_date=2024-01-01/x.parquet"])
def test_a_file_of_another_feed_is_refused_whole(pipeline, name):
    subscription = {"subscription_id": ["1"], "user_id": ["u"], "start_date": ["2024-01-01"], "monthly_price": [9]}
    for folder in ("subscribers", "subscriptions"):
        path = pipeline.landing / folder / name
        path.parent.mkdir(parents=True)
        if path.suffix == ".parquet":
            pq.write_table(pa.table(subscription), path)
        else:
            path.write_text(f"{','.join(subscription)}\n1,u,2024-01-01,9\n")
    wrong, right = load(pipeline.prepare().warehouse, ["subscribers", "subscriptions"], "test", print)
    assert (wrong.status, wrong.loaded_count) == ("refused", 0)
    assert wrong.error.startswith("looks like a file of the feed subscriptions: ")
    assert "move it to landing/subscriptions/" in wrong.error
    assert pipeline.query("select count(*) from raw.subscribers", role="ingest") == [(0,)]
    assert (right.source_file, right.status) == (f"subscriptions/{name}", "loaded")


@SIZES
@pytest.mark.parametrize(("bad_count", "status"), [(5, "loaded"), (6, "refused")])
def test_limit_of_bad_records_is_the_contracts(bench, large_file_bytes, bad_count, status):
    records = [f"{user},2024-01-01,true,DIRECT" for user in range(100 - bad_count)]
    for bad in range(bad_count):
        records.insert(19 * bad, f"{bad}x,2024-01-01,true,DIRECT")
    bench.land("sessions/a.csv", *records)
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    assert result.status == status
    in_raw, in_quarantine = (100 - bad_count, bad_count) if status == "loaded" else (0, 0)
    assert (result.loaded_count, result.rejected_count) == (in_raw, in_quarantine)
    assert bench.value("select count(*) from raw.sessions") == in_raw
    assert bench.value("select count(*) from raw._rejects") == in_quarantine
    if status == "refused":
        assert result.error.startswith(
            "6 of 100 records are refused; the contract tolerates 5 % of a file (max_reject_rate)\n"
            '  line 2, column userid: wrong_type: invalid input syntax for type bigint: "…"\n  line 21, column userid:'
        )


def packed(*parts):
    """A file in an archive: ``parts`` are pairs of a record and how many times it comes."""
    return gzip.compress(HEADER + b"".join(record * count for record, count in parts))


@SIZES
def test_archive_of_bad_records_is_refused_before_it_fills_the_disk(bench, monkeypatch, large_file_bytes):
    monkeypatch.setattr(ingest.load_file, "SPOOL_BYTES", 1 << 20)
    (bench.landing / "sessions").mkdir()
    bomb = packed((GOOD, 5000), (b"x" + GOOD, 60_000))
    assert len(bomb) < 10_000
    (bench.landing / "sessions" / "a.csv.gz").write_bytes(bomb)
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    first, *reasons, last = result.error.splitlines()
    rejected, read = map(int, re.match("([0-9]+) of ([0-9]+) records are refused; the contract ", first).groups())
    assert 5000 < rejected == read - 5000 < 15_000
    assert first.endswith("; these fill the room for them, and it was read no further: correct it, or land it in parts")
    assert reasons[0].startswith("  line 5002, column userid: wrong_type: ")
    assert last == f"  and {rejected - 10} more"
    assert (result.status, result.size_bytes) == ("refused", len(bomb))
    assert bench.value("select count(*) from raw.sessions") == bench.value("select count(*) from raw._rejects") == 0
    assert bench.load_tables() == 0


@SIZES
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_file_of_odd_but_good_records_gets_more_room(bench, monkeypatch, large_file_bytes, name):
    monkeypatch.setattr(ingest.load_file, "SPOOL_BYTES", 1 << 16)
    monkeypatch.setattr(ingest.reading, "BLOCK_BYTES", 1 << 12)
    (bench.landing / "sessions").mkdir()
    odd = GOOD.replace(b"2024-01-01", b"1 Jan 2024")
    # Bad ones come first. Without an archive, what follows may make up for too many of them.
    content = HEADER + (b"x" + GOOD) * (20 if name == "a.csv.gz" else 100) + odd * 6000
    (bench.landing / "sessions" / name).write_bytes(gzip.compress(content) if name == "a.csv.gz" else content)
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    assert (result.status, result.loaded_count, result.error) == ("loaded", 6000, None)
    assert bench.value("select count(*) from raw.sessions") == 6000


def test_records_to_judge_alone_that_the_disk_has_no_room_for_refuse_the_file(bench, monkeypatch):
    monkeypatch.setattr(ingest.load_file, "SPOOL_BYTES", 1 << 16)
    spare = ingest.load_file._SPARE_BYTES
    monkeypatch.setattr(ingest.load_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=spare - 1))
    odd = GOOD.decode().strip().replace("2024-01-01", "1 Jan 2024")
    bench.land("sessions/a.csv", "x" + odd, *[odd] * 1000)
    bench.land("sessions/b.csv", odd)
    refused, loaded = bench.load()
    assert (refused.status, loaded.status) == ("refused", "loaded")
    assert re.match(
        "its records that must be judged one by one need more than 0 MiB in .*: make room, set TMPDIR", refused.error
    )


def test_records_to_judge_alone_take_what_the_disk_gives_where_that_is_enough(bench, monkeypatch):
    monkeypatch.setattr(ingest.load_file, "SPOOL_BYTES", 1 << 16)
    odd = GOOD.decode().strip().replace("2024-01-01", "1 Jan 2024")
    bench.land("sessions/a.csv", "x" + odd, *[odd] * 1000)
    free = ingest.load_file._SPARE_BYTES + (1 << 16)  # twice the room in all, where four times as much is asked for
    monkeypatch.setattr(ingest.load_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    (result,) = bench.load()
    assert (result.status, result.error) == ("loaded", None)


def test_a_missing_folder_of_temporary_files_fails_the_load_and_not_the_file(bench, monkeypatch, tmp_path):
    monkeypatch.setattr(ingest.judge, "SPOOL_MEMORY_BYTES", 1 << 10)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    bench.land("sessions/a.csv", "x,2024-01-01,true,DIRECT", *["7,1 Jan 2024,true,DIRECT"] * 1000)
    with pytest.raises(IngestError, match=r"a.csv is not loaded, through no fault of it: .*/gone/.* TMPDIR"):
        bench.load()
    assert bench.rows("select status from raw._loads") == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError(errno.ENOENT, "Gone"), ("unfinished", "went away before it was read")),
        (PermissionError(errno.EACCES, "Closed"), ("refused", "cannot be read: Closed")),
    ],
)
def test_a_file_that_cannot_be_opened_is_told_from_others_that_cannot(bench, monkeypatch, error, expected):
    bench.land("sessions/a.csv", "x,2024-01-01,true,DIRECT", *["7,2024-01-01,true,DIRECT"] * 40)
    bench.land("sessions/b.csv", "7,2024-01-01,true,DIRECT")

    def open_all_but(path, flags):
        if path.endswith("a.csv"):
            raise type(error)(*error.args, path)
        return os.open(path, flags)

    def keep(*_):
        raise type(error)(*error.args, "/elsewhere")

    with monkeypatch.context() as patch:
        patch.setattr(ingest.source, "_open_at_once", open_all_but)
        first, second = bench.load()
    assert ((first.status, first.error), second.status) == (expected, "loaded")
    monkeypatch.setattr(ingest.judge.Spool, "add", keep)
    with pytest.raises(IngestError, match=r"a.csv is not loaded, through no fault of it: .*/elsewhere"):
        bench.load()


def test_refusal_names_ten_reasons_and_counts_the_rest(bench):
    bench.land("sessions/a.csv", *(f"x{user},2024-01-01,true,DIRECT" for user in range(25)))
    (result,) = bench.load()
    first, *reasons, last = result.error.splitlines()
    assert first.startswith("25 of 25 records are refused")
    assert [reason.split(",")[0] for reason in reasons] == [f"  line {line}" for line in range(2, 12)]
    assert last == "  and 15 more"


@SIZES
def test_columns_may_move_come_and_be_missing(bench, large_file_bytes):
    bench.land("sessions/a.csv", "x,true,2024-01-01,7", header="colour,IS_PAID,time_started, userid")
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    assert (result.status, result.added_columns) == ("loaded", ("colour",))
    assert bench.rows("select userid, time_started::date::text, is_paid, medium from raw.sessions") == [
        (7, "2024-01-01", True, None)
    ]


def test_refused_new_content_leaves_the_loaded_rows(bench):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    (loaded,) = bench.load()
    bench.land("sessions/a.csv", "7,2024-01-02,true,DIRECT", "x,2024-01-02,true,DIRECT")
    (refused,) = bench.load()
    assert refused.status == "refused"
    assert bench.rows("select _load_id, time_started::date::text from raw.sessions") == [(loaded.load_id, "2024-01-01")]
    assert bench.rows("select status from raw._loads order by load_id") == [("loaded",), ("refused",)]
    assert bench.removed() == []
    bench.land("sessions/a.csv", "7,2024-01-02,true,DIRECT", "8,2024-01-02,true,DIRECT")
    (mended,) = bench.load()
    assert mended.status == "loaded"
    assert bench.changed_days(mended.load_id) == ["2024-01-01", "2024-01-02"]


def test_refusal_is_forgotten_once_the_same_content_loads(bench):
    """The contract was wrong, not the file."""
    bench.land("sessions/a.csv", ",2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load()] == ["refused"]
    bench.change_contract(column="userid", nullable=True)
    assert [result.status for result in bench.load()] == ["loaded"]
    assert bench.rows("select status from raw._loads") == [("loaded",)]


def test_link_out_of_the_landing_folder_is_refused(bench, tmp_path):
    outside = tmp_path / "secret.csv"
    outside.write_bytes(HEADER + GOOD)
    bench.land("sessions/good.csv", "7,2024-01-01,true,DIRECT")
    (bench.landing / "sessions" / "link.csv").symlink_to(outside)
    good, link = bench.load()
    assert (good.status, link.status, link.error) == ("loaded", "refused", "leads out of the landing folder")
    assert bench.value("select error from raw._loads where source_file = 'sessions/link.csv'") == link.error
    bench.load()
    assert bench.value("select count(*) from raw._loads") == 2
    (bench.landing / "sessions" / "link.csv").unlink()
    bench.land("sessions/link.csv", "8,2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load()] == ["skipped", "loaded"]
    assert bench.value("select count(*) from raw._loads where status = 'refused'") == 0


def test_file_name_that_is_no_utf8_loads(bench):
    folder = bench.landing / "sessions"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/caf\xe9.csv", "wb") as file:
        file.write(HEADER + GOOD)
    (result,) = bench.load()
    assert (result.status, result.source_file) == ("loaded", "sessions/caf\\xe9.csv")


def test_raw_table_that_differs_from_its_contract_is_named(bench):
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        conn.execute(
            "alter table raw.sessions drop column is_paid, alter medium set not null, add colour text,"
            " alter userid type integer"
        )
    with pytest.raises(RawSchemaMismatchError) as raised:
        bench.load()
    assert str(raised.value).splitlines() == [
        "raw.sessions differs from its contract acquisition/sessions.yml:",
        "  userid: bigint not null in the contract, integer not null in the table",
        "  is_paid: in the contract (boolean not null), not in the table",
        "  medium: text in the contract, text not null in the table",
        "  colour: in the table (text), not in the contract",
    ]


def test_missing_raw_table_says_what_to_run(bench):
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        conn.execute("drop table raw.sessions")
    with pytest.raises(RawSchemaMismatchError, match="growth init"):
        bench.load()


def test_owner_makes_the_tables_for_the_role_ingest(bench):
    with psycopg.connect(bench.warehouse.conninfo()) as conn:
        conn.execute("drop schema raw cascade")
        ensure_raw(conn, bench.contracts)
        assert conn.execute("select current_user").fetchone() == (bench.warehouse.user,)
    owners = "select distinct tableowner from pg_tables where schemaname = 'raw'"
    assert bench.rows(owners) == [("ingest",)]
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load(large_file_bytes=1)] == ["loaded"]


@SIZES
def test_a_file_without_header_and_records_loads_as_none_and_replaces_none(bench, large_file_bytes):
    bench.change_contract(csv={"header": False})
    folder = bench.landing / "sessions"
    folder.mkdir()
    for name, content in (("quiet.csv", b""), ("busy.csv", GOOD)):
        (folder / name).write_bytes(content)
    assert [result.status for result in bench.load(large_file_bytes=large_file_bytes)] == ["loaded", "loaded"]
    (folder / "busy.csv").write_bytes(b"")
    busy, quiet = bench.load(large_file_bytes=large_file_bytes)
    assert (busy.status, quiet.status) == ("refused", "skipped")
    assert busy.error.startswith("has no record, and would replace the 1 that were loaded of it")
    assert bench.value("select count(*) from raw.sessions") == 1
