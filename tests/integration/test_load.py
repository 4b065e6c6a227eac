"""Files become rows, ledger entries and changed days; again, and with new content."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from growth.warehouse import initialise
from ingest.contract import Contract
from ingest.load import LARGE_FILE_BYTES

# Both ways a file can be stored: in raw.<feed> itself, and in a table of its own.
SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])


@SIZES
def test_load_writes_rows_ledger_and_changed_days(bench, large_file_bytes):
    path = bench.land(
        "sessions/2024/a.csv",
        "7,2024-01-01 23:59:59.999999,true,DIRECT",
        "7,2024-01-02T00:00:00+02:00,f,",
        '8,2024-01-03 00:00:00,1,"A ""b"", c\nd"',
    )
    (result,) = bench.load(large_file_bytes=large_file_bytes, run_id="run 1")
    assert (result.feed, result.source_file, result.status) == ("sessions", "sessions/2024/a.csv", "loaded")
    assert (result.loaded_count, result.size_bytes, result.error) == (3, path.stat().st_size, None)
    assert bench.rows("select * from raw.sessions order by time_started") == [
        (7, datetime(2024, 1, 1, 22, 0, 0, 0, UTC), False, None, result.load_id),
        (7, datetime(2024, 1, 1, 23, 59, 59, 999999, UTC), True, "DIRECT", result.load_id),
        (8, datetime(2024, 1, 3, 0, 0, 0, 0, UTC), True, 'A "b", c\nd', result.load_id),
    ]
    assert bench.changed_days(result.load_id) == ["2024-01-01", "2024-01-03"]
    assert bench.rows(
        "select load_id, feed, source_file, sha256, size_bytes, record_count, loaded_count, rejected_count, status,"
        " error, run_id, started_at <= finished_at from raw._loads"
    ) == [
        (
            *(result.load_id, "sessions", "sessions/2024/a.csv", hashlib.sha256(path.read_bytes()).hexdigest()),
            *(path.stat().st_size, 3, 3, 0, "loaded", None, "run 1", True),
        )
    ]
    assert bench.load_tables() == (1 if large_file_bytes == 1 else 0)


@SIZES
def test_same_content_is_skipped(bench, large_file_bytes):
    path = bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    (first,) = bench.load(large_file_bytes=large_file_bytes)
    ledger = bench.rows("select * from raw._loads")
    path.touch()
    (second,) = bench.load(large_file_bytes=large_file_bytes)
    assert (second.status, second.load_id, second.loaded_count) == ("skipped", first.load_id, 1)
    assert bench.rows("select * from raw._loads") == ledger
    assert bench.value("select count(*) from raw.sessions") == 1


def test_same_content_at_another_path_loads(bench):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.land("sessions/b.csv", "7,2024-01-01,true,DIRECT")
    assert [result.status for result in bench.load()] == ["loaded", "loaded"]
    assert bench.value("select count(*) from raw.sessions") == 2


@pytest.mark.parametrize("old_size", [LARGE_FILE_BYTES, 1], ids=["from small", "from large"])
@pytest.mark.parametrize("new_size", [LARGE_FILE_BYTES, 1], ids=["to small", "to large"])
def test_new_content_replaces_the_old_rows(bench, old_size, new_size):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT", "8,2024-01-02,true,DIRECT", "8,2024-01-02,true,EMAIL")
    bench.land("sessions/other.csv", "9,2024-01-02,true,DIRECT")
    old, other = bench.load(large_file_bytes=old_size)
    # as many bytes as before: only the content tells
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT", "8,2024-01-03,true,DIRECT", "5,2024-01-02,true,EMAIL")
    new, skipped = bench.load(large_file_bytes=new_size)
    assert (new.status, skipped.status) == ("loaded", "skipped")
    assert new.load_id > other.load_id
    assert bench.rows("select userid, time_started::date::text, _load_id from raw.sessions order by 2, 1") == [
        (7, "2024-01-01", new.load_id),
        (5, "2024-01-02", new.load_id),
        (9, "2024-01-02", other.load_id),
        (8, "2024-01-03", new.load_id),
    ]
    assert bench.changed_days(new.load_id) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert bench.removed() == [(7, new.load_id), (8, new.load_id), (8, new.load_id)]
    assert bench.load_tables("raw._removed_sessions") == (old_size == 1)
    assert dict(bench.rows("select load_id, status from raw._loads")) == {
        old.load_id: "replaced",
        other.load_id: "loaded",
        new.load_id: "loaded",
    }
    assert bench.load_tables() == (old_size == 1) + (new_size == 1), "of the other file, and of this"


def test_content_that_returns_is_a_new_load(bench):
    statuses = []
    for day in ("2024-01-01", "2024-01-02", "2024-01-01"):
        bench.land("sessions/a.csv", f"7,{day},true,DIRECT")
        statuses += [result.status for result in bench.load()]
    assert statuses == ["loaded"] * 3
    assert bench.rows("select status from raw._loads order by load_id") == [("replaced",), ("replaced",), ("loaded",)]
    assert bench.value("select time_started::date::text from raw.sessions") == "2024-01-01"


def test_file_that_shrinks_to_its_header_removes_its_rows(bench):
    bench.land("conversions/a.csv", "7,2024-01-01")
    bench.load("conversions")
    bench.land("conversions/a.csv")
    (result,) = bench.load("conversions")
    assert (result.status, result.loaded_count) == ("loaded", 0)
    assert bench.value("select count(*) from raw.conversions") == 0
    assert bench.changed_days(result.load_id) == ["2024-01-01"]
    assert bench.rows("select userid from raw._removed_conversions") == [(7,)]


def test_changed_days_are_those_of_the_load_alone(bench):
    """Also where its rows fill pages that older rows left free, among rows of other days."""
    bench.land("sessions/a.csv", *(f"{user},2024-01-01,true,{'x' * 200}" for user in range(5000)))
    bench.land("sessions/b.csv", *(f"{user},2024-02-{1 + user % 20:02},true,DIRECT" for user in range(5000)))
    bench.load(workers=1)
    bench.land("sessions/a.csv", "7,2024-01-05,true,DIRECT")
    bench.load()
    with psycopg.connect(bench.warehouse.conninfo("ingest"), autocommit=True) as conn:
        conn.execute("vacuum raw.sessions")
    bench.land("sessions/late.csv", *(f"{user},2023-12-31,true,DIRECT" for user in range(2000)))
    late = next(result for result in bench.load() if result.source_file == "sessions/late.csv")
    pages = "select {}((ctid::text::point)[0]) from only raw.sessions where _load_id {} " + str(late.load_id)
    assert bench.value(pages.format("min", "=")) < bench.value(pages.format("max", "<>"))
    assert bench.changed_days(late.load_id) == ["2023-12-31"]


@SIZES
def test_days_are_utc_at_their_exact_bounds(bench, large_file_bytes):
    bench.land(
        "conversions/a.csv",
        "1,1999-12-31 23:59:59.999999",
        "1,0001-01-01 00:00:00",
        "1,1969-12-31 00:00:00",
        "1,2024-03-01 00:30:00+01",
        "1,9999-12-31 23:59:59.999999",
    )
    (result,) = bench.load("conversions", large_file_bytes=large_file_bytes)
    expected = ["0001-01-01", "1969-12-31", "1999-12-31", "2024-02-29", "9999-12-31"]
    assert bench.changed_days(result.load_id) == expected
    by_model = (
        "select distinct cast(registration_time at time zone 'UTC' as date)::text from raw.conversions order by 1"
    )
    assert [day for (day,) in bench.rows(by_model)] == expected


@pytest.mark.parametrize("shuffled", [False, True])
def test_days_of_a_large_load_are_exact_where_a_sample_of_its_pages_misses_some(bench, shuffled):
    """Many pages; single rows far below, far above, and in gaps, of which there are few or (last file) many."""
    days = [f"2024-03-{day:02}" for day in (*range(3, 8), *range(10, 20)) for _ in range(8000)]
    rare = ["2023-01-05", "2024-03-08", "2024-12-31"]
    records = [f"{user},{day} 12:00:00" for user, day in enumerate([*days, *rare])]
    if shuffled:
        random.Random(1).shuffle(records)
    bench.land("conversions/a.csv", *records)
    scattered = [(date(2020, 1, 1) + timedelta(days=2 * step)).isoformat() for step in range(200) for _ in range(300)]
    bench.land("conversions/b.csv", *(f"{user},{day}" for user, day in enumerate(scattered)))
    few_gaps, many_gaps = bench.load("conversions", large_file_bytes=1)
    assert bench.changed_days(few_gaps.load_id) == sorted({*days, *rare})
    assert bench.changed_days(many_gaps.load_id) == sorted({*scattered})


def test_byte_order_mark_and_windows_line_ends_load(bench):
    path = bench.landing / "conversions" / "a.CSV"
    path.parent.mkdir()
    path.write_bytes(b'\xef\xbb\xbf"userid",registration_time\r\n7,2024-01-01\r\n8,2024-01-02')
    (result,) = bench.load("conversions")
    assert (result.status, result.loaded_count) == ("loaded", 2)


@SIZES
def test_who_may_read_the_feed_reads_every_load(bench, large_file_bytes):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)
    # a privilege of the parent alone is enough
    with psycopg.connect(bench.warehouse.conninfo()) as conn:
        conn.execute("alter default privileges for role ingest in schema raw revoke select on tables from transform")
    bench.land("sessions/b.csv", "8,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)
    bench.land("sessions/a.csv", "9,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)
    assert bench.value("select count(*) from raw.sessions", "transform") == 2
    assert bench.value("select userid from raw._removed_sessions", "transform") == 7
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        bench.value("select count(*) from raw.sessions", "analyst")


def test_a_day_is_found_by_index_in_every_load(bench):
    bench.land("sessions/a.csv", *(f"{user},2024-01-{1 + user % 28:02},true,DIRECT" for user in range(3000)))
    bench.land("sessions/b.csv", "8,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=1000)
    with psycopg.connect(bench.warehouse.conninfo()) as conn:
        conn.execute("set enable_seqscan = off")
        day = "time_started >= timestamptz '2024-01-01 00:00+00' and time_started < timestamptz '2024-01-02 00:00+00'"
        plan = "\n".join(line for (line,) in conn.execute(f"explain select * from raw.sessions where {day}"))
    assert plan.count("Bitmap Index Scan") == 2, plan
    assert "Seq Scan" not in plan


def test_large_load_is_analyzed(bench):
    bench.land("sessions/a.csv", *(f"{user},2024-01-01,true,DIRECT" for user in range(3000)))
    (result,) = bench.load(large_file_bytes=1)
    counts = dict(
        bench.rows(
            "select inherited, n_distinct from pg_stats"
            " where schemaname = 'raw' and tablename = 'sessions' and attname = 'userid'"
            f" union all select null, n_distinct from pg_stats where tablename like 'sessions_load_{result.load_id}_%'"
            " and attname = 'userid'"
        )
    )
    assert counts == {True: -1, None: -1}


def test_initialise_again_keeps_everything(bench):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load()
    initialise(bench.warehouse, bench.contracts)
    assert bench.value("select count(*) from raw.sessions join raw._loads on load_id = _load_id") == 1


def test_feed_that_never_delivered_has_no_results(bench):
    assert bench.load() == []


@SIZES
def test_event_time_may_be_a_date(bench, large_file_bytes):
    columns = [
        {"name": "user_id", "type": "text", "nullable": False, "description": "Who."},
        {"name": "paid_on", "type": "date", "nullable": False, "description": "When."},
        {"name": "amount", "type": "numeric", "nullable": True, "description": "How much."},
    ]
    contract = Contract.model_validate(
        {
            **{"feed": "payments", "domain": "shop", "description": "Payments.", "event_time": "paid_on"},
            **{"user": "user_id", "key": ["user_id"], "cadence": "daily", "max_reject_rate": 0, "columns": columns},
            "freshness": {"warn_after_days": 1, "error_after_days": 2},
        }
    )
    bench.contracts["payments"] = contract
    initialise(bench.warehouse, bench.contracts)
    header = "user_id,paid_on,amount"
    bench.land("payments/a.csv", " a ,2024-01-01,1.50", "a,0001-01-01,", '" ",2024-01-01,', header=header)
    bench.land("payments/b.csv", "a,infinity,1", header=header)
    first, endless = bench.load("payments", large_file_bytes=large_file_bytes)
    assert bench.changed_days(first.load_id) == ["0001-01-01", "2024-01-01"]
    assert "line 2, column paid_on: out_of_range: an event time must be finite" in endless.error
    bench.land("payments/a.csv", "b,2024-01-02,1.50", header=header)
    second = bench.load("payments", large_file_bytes=large_file_bytes)[0]
    assert bench.changed_days(second.load_id) == ["0001-01-01", "2024-01-01", "2024-01-02"]
    assert bench.rows("select user_id from raw._removed_payments order by 1") == [(" ",), (" a ",), ("a",)]


def test_large_load_with_checks_can_be_replaced(bench):
    """Postgres 17 and older detach no table that has a check of the parent's name but not from the parent."""
    bench.change_contract(column="medium", accepted_values=("DIRECT", "EMAIL"), max_length=6)
    for medium in ("DIRECT", "EMAIL"):
        bench.land("sessions/a.csv", f"7,2024-01-01,true,{medium}")
        assert [result.status for result in bench.load(large_file_bytes=1)] == ["loaded"]
    checks = "select conname from pg_constraint where contype = 'c' and conrelid"
    assert len(bench.rows(f"{checks} = 'raw.sessions'::regclass")) == 3
    of_loads = f"{checks} in (select format('raw.%I', relname)::regclass from pg_class where relname ~ '_load_')"
    assert len(bench.rows(of_loads)) == 4
    assert bench.rows(f"{checks} = 'raw.sessions'::regclass intersect {of_loads}") == []


@SIZES
@pytest.mark.parametrize("is_judged", [False, True], ids=["fast", "judged"])
def test_what_has_no_end_ends_at_infinity_as_postgres_exports_it(bench, large_file_bytes, is_judged):
    header = "subscription_id,user_id,start_date,end_date,monthly_price"
    bad = ["b,u,2024-01-02,-infinity,9.99"] if is_judged else []
    bench.land("subscriptions/a.csv", "a,u,2024-01-01,infinity,9.99", *bad, *["c,u,2024-01-03,,1"] * 30, header=header)
    [result] = bench.load("subscriptions", large_file_bytes=large_file_bytes)
    assert (result.loaded_count, result.rejected_count) == (31, len(bad)), result.error
    assert bench.rows("select distinct end_date::text from raw.subscriptions order by 1") == [("infinity",), (None,)]
