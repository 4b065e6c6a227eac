"""Which rows of which tables an erasure takes, and what it leaves of them elsewhere."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from support.elementary import QUOTED, quote_in_elementary
from support.pipeline import Pipeline
from support.postgres import PostgresServer

from growth import people
from growth.cleanup import forget_removed_rows
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts


def test_where_ids_have_several_meanings_only_what_is_surely_theirs_goes(pipeline: Pipeline) -> None:
    """Nor does a column of another name count, or an id that is a part of another one."""
    tables = {"dwh.keys": "identity, user_id", "dwh.facts": "user_id, n", "mart.mine": "user_id, n"}
    ids = "('customer', '7'), ('other', '7'), ('customer', '77'), ('customer', ' 7 ')"
    rows = f"(values {ids}) as ids (identity, user_id), (select 7 as n) as numbers"
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        for name, columns in tables.items():
            conn.execute(f"create table {name} as select {columns} from {rows}".encode())
    contracts = tuple(load_contracts(feeds_folder()).values())
    several = people.People("customer", ("7",), contracts, is_only=False)
    found = [("dwh.facts", 3, False), ("dwh.keys", 2, True), ("mart.mine", 3, False)]
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        assert [(each.table, each.row_count, each.is_sure) for each in people.find(conn, several)] == found
    gone = people.erase(pipeline.warehouse, several, "^dwh$", only_sure=True)
    assert [(each.table, each.row_count) for each in gone] == [("dwh.keys", 2)]
    gone = people.erase(pipeline.warehouse, several, "^mart$", only_sure=False)
    assert [(each.table, each.row_count) for each in gone] == [("mart.mine", 3)]
    assert pipeline.query("select * from dwh.keys") == [("other", "7"), ("customer", "77")]
    assert len(pipeline.query("select * from dwh.facts")) == 4


@pytest.mark.parametrize("is_superuser", [True, False])
def test_an_erasure_that_fails_leaves_no_id_in_the_servers_log(
    pipeline: Pipeline, postgres_server: PostgresServer, is_superuser: bool
) -> None:
    contracts = tuple(load_contracts(feeds_folder()).values())
    user = f"erika-{is_superuser}"
    who = people.People("customer", (user,), contracts, is_only=True)
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create schema mine; create table mine.users (user_id text primary key)")
        conn.execute("create table mine.orders (customer text references mine.users)")
        for table in ("users", "orders"):
            conn.execute(f"insert into mine.{table} values (%s)".encode(), [user])
    with psycopg.connect(pipeline.warehouse.conninfo(), autocommit=True) as conn:
        if not is_superuser:  # who may not say so erases all the same
            conn.execute("create role plain_owner login password 'plain_owner' in role ingest, transform")
        try:
            owner = pipeline.warehouse.user if is_superuser else "plain_owner"
            passwords = {**pipeline.warehouse.passwords, "plain_owner": "plain_owner"}
            warehouse = replace(pipeline.warehouse, user=owner, passwords=passwords)
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                people.erase(warehouse, who, "^mine$", only_sure=False)
        finally:
            conn.execute("drop role if exists plain_owner")
    log = postgres_server.log()
    assert 'violates foreign key constraint "orders_customer_fkey"' in log
    assert (user in log) is not is_superuser


@pytest.mark.parametrize("user", ["7", "bob@example.com"])
def test_what_elementary_quotes_of_a_person_goes_and_all_else_stays(pipeline: Pipeline, user: str) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        quote_in_elementary(conn, user, f"7{user}", f"{user}7", f"{user}-{user}")
        conn.execute("insert into elementary.dbt_run_results values ('7 failing rows, 7.7 s of model time', 7)")
    rows = " union all ".join(
        f"select '{table}', {QUOTED[table][0].split()[0]} from elementary.{table}" for table in QUOTED
    )
    before = pipeline.query(rows)
    contracts = tuple(load_contracts(feeds_folder()).values())
    gone = people.erase_messages(pipeline.warehouse, people.People("customer", (user,), contracts, is_only=True))
    theirs = [(table, text.format(user)) for table, (_, texts) in QUOTED.items() for text in texts]
    assert sorted(set(before) - set(pipeline.query(rows))) == sorted(theirs)
    assert {each.table: each.row_count for each in gone} == {
        f"elementary.{table}": len(texts) for table, (_, texts) in QUOTED.items()
    }


@pytest.mark.usefixtures("published")
def test_a_feed_that_was_dropped_keeps_no_removed_rows_of_others(pipeline: Pipeline) -> None:
    """As the runbook has it: its tables are dropped, and what the ledger says of its loads stays."""
    pipeline.land("sessions", "a.csv", ["2,2024-01-05 10:00:00,true,DIRECT"])
    pipeline.run()
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        for status, removed_by in (("loaded", None), ("replaced", 1000)):
            conn.execute(
                "insert into raw._loads"
                " (load_id, feed, source_file, size_bytes, status, started_at, finished_at, removed_by)"
                " overriding system value values (%s, 'old_feed', 'old_feed/a.csv', 0, %s, now(), now(), %s)",
                [1001 if removed_by else 1000, status, removed_by],
            )
        conn.execute(
            "insert into dwh._consumed_loads (model, load_id) select distinct model, 1000 from dwh._consumed_loads"
        )
    assert forget_removed_rows(pipeline.warehouse) == ["sessions"]
    assert pipeline.query("select count(*) from raw._removed_sessions") == [(0,)]
