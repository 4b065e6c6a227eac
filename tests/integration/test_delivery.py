"""Full extracts keep their history; the ways out of a quarantine and of a contract that changed too far."""

from __future__ import annotations

import psycopg
import pytest

from ingest import quarantine
from ingest.errors import RawSchemaMismatchError
from ingest.load import LARGE_FILE_BYTES
from ingest.unload import unload

SIZES = pytest.mark.parametrize("large_file_bytes", [LARGE_FILE_BYTES, 1], ids=["small", "large"])


@pytest.fixture
def accounts(bench):
    """A bench with a feed of full extracts, and a way to let a day pass."""
    bench.contracts["accounts"] = bench.contracts["sessions"].model_validate(
        {
            **{"feed": "accounts", "domain": "shop", "description": "Accounts.", "delivery": "full_extract"},
            **{
                "user": "id",
                "key": ["id"],
                "cadence": "daily",
                "freshness": {"warn_after_days": 1, "error_after_days": 2},
            },
            "columns": [{"name": "id", "type": "bigint", "nullable": False, "description": "Who."}],
        }
    )
    bench.change_contract()
    return bench


def rows(bench):
    return bench.rows("select id, current_date - _extract_date from raw.accounts order by 1, 2")


def pass_a_day(bench):
    bench.rows("update raw._loads set started_at = started_at - interval '1 day' returning 1")
    bench.rows("update raw.accounts set _extract_date = _extract_date - 1 returning 1")


@SIZES
def test_extract_that_is_overwritten_every_day_keeps_its_history(accounts, large_file_bytes):
    accounts.land("accounts/all.csv", "1", "2", header="id")
    accounts.load("accounts")  # small: what a test can date back
    pass_a_day(accounts)
    accounts.land("accounts/all.csv", "2", "3", header="id")
    (result,) = accounts.load("accounts", large_file_bytes=large_file_bytes)
    assert (result.status, result.loaded_count) == ("loaded", 2), result.error
    assert rows(accounts) == [(1, 1), (2, 0), (2, 1), (3, 0)]
    accounts.land("accounts/all.csv", "4", header="id")  # the same day again: this extract is the day's
    accounts.load("accounts", large_file_bytes=large_file_bytes)
    assert rows(accounts) == [(1, 1), (2, 1), (4, 0)]
    assert accounts.rows("select status, count(*) from raw._loads group by 1 order by 1") == [
        ("loaded", 2),
        ("replaced", 1),
    ]
    ((earlier,),) = accounts.rows("select source_file from raw._loads where source_file like '%extract_date=%'")
    unload(accounts.warehouse.conninfo("ingest"), accounts.contracts["accounts"], earlier, run_id=None)
    assert rows(accounts) == [(4, 0)]


def test_same_extract_on_another_day_changes_nothing(accounts):
    accounts.land("accounts/all.csv", "1", header="id")
    accounts.load("accounts")
    pass_a_day(accounts)
    (result,) = accounts.load("accounts")
    assert result.status == "skipped"
    assert rows(accounts) == [(1, 1)]


@SIZES
def test_unloading_is_the_way_out_of_a_contract_that_changed_too_far(bench, large_file_bytes):
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT")
    bench.load(large_file_bytes=large_file_bytes)
    with pytest.raises(RawSchemaMismatchError, match="is_paid"):
        bench.change_contract(column="is_paid", type="integer")
    contract = bench.contracts["sessions"]
    assert unload(bench.warehouse.conninfo("ingest"), contract, "sessions/a.csv", run_id=None) == 1
    assert bench.value("select count(*) from raw.sessions") == 0


@SIZES
@pytest.mark.parametrize("quote", ["-", "'", "*"])
def test_any_quote_that_a_contract_may_state_loses_no_record(bench, quote, large_file_bytes):
    bench.change_contract(csv={"quote": quote})
    bench.land("sessions/a.csv", "7,2024/01/01,true,DIRECT", "8,2024/01/02,true,EMAIL", "9,2024/01/03,true,")
    (result,) = bench.load(large_file_bytes=large_file_bytes)
    assert (result.status, result.loaded_count, result.rejected_count) == ("loaded", 3, 0), result.error
    assert bench.rows("select userid from raw.sessions order by 1") == [(7,), (8,), (9,)]


def test_discarded_records_are_not_replayed(bench):
    bench.change_contract(max_reject_rate=0.9)
    bench.land("sessions/a.csv", "7,2024-01-01,true,DIRECT", "8,2024-01-01,maybe,DIRECT")
    bench.load()
    conninfo = bench.warehouse.conninfo("ingest")
    with psycopg.connect(conninfo) as conn:
        assert quarantine.discard(conn, "sessions/a.csv") == 1
        assert quarantine.discard(conn, "sessions/a.csv") == 0
        assert quarantine.summarise(conn, ["sessions"]) == []
    contract = bench.change_contract(column="is_paid", type="text")
    assert quarantine.replay(conninfo, contract, run_id=None) == []
    assert bench.value("select count(*) from raw._rejects where discarded_at is not null") == 1


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"\x1f\x8b\x08\x00", "name it .csv.gz"),
        (b"PK\x03\x04....", "zip archive or a spreadsheet"),
        (b"PAR1\x15\x04", "name it .parquet"),
        ("userid,time_started\n".encode("utf-16"), "encoding: utf-16"),
    ],
)
def test_file_of_another_kind_is_refused_with_what_it_is(bench, content, advice):
    bench.land("sessions/a.csv").write_bytes(content)
    (result,) = bench.load()
    assert result.status == "refused"
    assert advice in result.error
