"""What cannot be loaded is refused whole, with a reason; everything else still loads."""

from __future__ import annotations

import os

import psycopg
import pytest

from growth.settings import PROJECT_ROOT
from ingest.contract import Column, load_contracts
from ingest.ddl import ensure_raw
from ingest.errors import RawSchemaMismatchError
from ingest.load import LARGE_FILE_BYTES

SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])
HEADER = b"userid,time_started,is_paid,medium\n"
GOOD = b"7,2024-01-01,true,DIRECT\n"


@SIZES
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (HEADER + GOOD + b"seven,2024-01-01,true,\n", "line 3, column userid: invalid input syntax for type bigint"),
        (HEADER + GOOD + b"7,01/13/2024,true,\n", "line 3, column time_started: date/time field value out of range"),
        (HEADER + b"7,2024-01-01,maybe,\n", "line 2, column is_paid: invalid input syntax for type boolean"),
        (HEADER + b",2024-01-01,true,\n", "line 2, column userid: a required value is missing"),
        (HEADER + GOOD + b"7,2024-01-01,true\n", 'line 3: missing data for column "medium"'),
        (HEADER + GOOD + b"7,2024-01-01,true,,\n", "line 3: extra data after last expected column"),
        (HEADER + GOOD + b'7,2024-01-01,true,"open\n' + GOOD, "line 5: unterminated CSV quoted field"),
        (HEADER + GOOD + b"7,2024-01-01,true,caf\xe9\n", 'line 3: invalid byte sequence for encoding "UTF8": 0xe9'),
        (HEADER + GOOD + b"7,2024-01-01,true,a\x00b\n", 'line 3: invalid byte sequence for encoding "UTF8": 0x00'),
        (HEADER + GOOD + b"7,infinity,true,\n", "line 3, column time_started: an event time must be finite"),
        (HEADER + GOOD + b"7,-infinity,true,\n", "line 3, column time_started: an event time must be finite"),
        (HEADER + b"7,10000-01-01,true,\n", "line 2, column time_started: an event time must be finite and lie in"),
        (HEADER + b"7,2024-01-01 BC,true,\n", "line 2, column time_started: an event time must be finite and lie in"),
        (HEADER + GOOD + b"\\.\n" + GOOD, "line 3"),
        (HEADER + b'7,2024-01-01,true,"\n\n"\n' + b"x,2024-01-01,true,\n", "line 5, column userid: invalid input"),
        (b"", "the file is empty (0 bytes)"),
        (GOOD, "header is not the contract's"),
    ],
)
def test_refused_file_leaves_nothing_but_its_reason(bench, large_file_bytes, content, reason):
    folder = bench.landing / "sessions"
    folder.mkdir()
    (folder / "bad.csv").write_bytes(content)
    bench.land("sessions/good.csv", "7,2024-01-02,true,DIRECT")
    bad, good = bench.load(large_file_bytes=large_file_bytes)
    assert (bad.status, good.status) == ("refused", "loaded")
    assert bad.error.startswith(reason)
    assert bad.size_bytes == len(content)
    assert bench.rows("select userid, time_started::date::text from raw.sessions") == [(7, "2024-01-02")]
    assert bench.rows("select load_id, event_date::text from raw._changed_days") == [(good.load_id, "2024-01-02")]
    assert bench.load_tables() == (1 if large_file_bytes == 1 else 0)
    ledger = "select load_id, source_file, status, error, record_count, length(sha256) from raw._loads"
    expected = [(bad.load_id, "sessions/bad.csv", "refused", bad.error, 0, 64)]
    assert bench.rows(f"{ledger} where status <> 'loaded'") == expected
    # a retry updates the refusal
    bad_again, good_again = bench.load(large_file_bytes=large_file_bytes, run_id="second")
    assert (bad_again.status, bad_again.load_id, good_again.status) == ("refused", bad.load_id, "skipped")
    assert bench.rows(f"{ledger} where status <> 'loaded'") == expected
    assert bench.value("select run_id from raw._loads where status = 'refused'") == "second"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "userid,is_paid,time_started,medium",
            [
                "header is not the contract's (the order differs)",
                "  contract     | file",
                "  userid       | userid",
                "  time_started | is_paid   <--",
                "  is_paid      | time_started   <--",
                "  medium       | medium",
            ],
        ),
        (
            "userid,time_started,is_paid",
            [
                "header is not the contract's (missing: medium)",
                "  contract     | file",
                "  userid       | userid",
                "  time_started | time_started",
                "  is_paid      | is_paid",
                "  medium       | -   <--",
            ],
        ),
        (
            "userid,time_started,is_paid,Medium,extra",
            [
                "header is not the contract's (missing: medium; unknown: 'Medium', 'extra')",
                "  contract     | file",
                "  userid       | userid",
                "  time_started | time_started",
                "  is_paid      | is_paid",
                "  medium       | Medium   <--",
                "  -            | extra   <--",
            ],
        ),
    ],
)
def test_header_mismatch_shows_both_side_by_side(bench, header, expected):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT", header=header)
    (result,) = bench.load()
    assert result.error.splitlines() == expected


def test_refused_new_content_leaves_the_loaded_rows(bench):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    (loaded,) = bench.load()
    bench.land("sessions/a.csv", "7,2024-01-02,true,DIRECT", "x,2024-01-02,true,DIRECT")
    (refused,) = bench.load()
    assert refused.status == "refused"
    assert bench.rows("select _load_id, time_started::date::text from raw.sessions") == [(loaded.load_id, "2024-01-01")]
    assert bench.rows("select status from raw._loads order by load_id") == [("loaded",), ("refused",)]
    assert bench.rows("select * from raw._removed_users") == []
    bench.land("sessions/a.csv", "7,2024-01-02,true,DIRECT", "8,2024-01-02,true,DIRECT")
    (mended,) = bench.load()
    assert mended.status == "loaded"
    assert bench.changed_days(mended.load_id) == ["2024-01-01", "2024-01-02"]


def test_refusal_is_forgotten_once_the_same_content_loads(bench):
    """The contract was wrong, not the file."""
    bench.land("sessions/a.csv", ",2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load()] == ["refused"]
    wrong = bench.contracts["sessions"]
    optional = Column(name="userid", type="bigint", nullable=True, description="Who.")
    bench.contracts["sessions"] = wrong.model_copy(update={"columns": (optional, *wrong.columns[1:])})
    with psycopg.connect(bench.warehouse.conninfo("ingest")) as conn:
        conn.execute("alter table raw.sessions alter column userid drop not null")
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
    contracts = load_contracts(PROJECT_ROOT / "ingest" / "feeds")
    with (
        psycopg.connect(bench.warehouse.conninfo("ingest")) as conn,
        pytest.raises(RawSchemaMismatchError, match="colour"),
    ):
        ensure_raw(conn, contracts)


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
