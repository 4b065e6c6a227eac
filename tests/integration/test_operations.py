"""The operations marts tell what happened, also when nothing was published, and show nothing of a record."""

from __future__ import annotations

import re

import psycopg
import pytest
from support.pipeline import Pipeline

from growth import dbt, gate_results
from growth.load import load
from growth.settings import feeds_folder
from ingest.contract_files import load_contracts
from ingest.unload import unload

SECRET = "bob@example.com"


def take_out(pipeline: Pipeline, source_file: str) -> None:
    contract = load_contracts(feeds_folder())[source_file.split("/")[0]]
    unload(pipeline.warehouse.conninfo("ingest"), contract, source_file, run_id="take out")


def test_operations_marts_follow_every_load_and_gate_without_a_publication(pipeline: Pipeline) -> None:
    good = [f"{user},2024-01-01 00:00:00,true,DIRECT" for user in range(40)]
    pipeline.land("sessions", "some.csv", [*good, f"{SECRET},2024-01-01 00:00:00,true,DIRECT"])
    pipeline.land("sessions", "none.csv", ['"al""ice@example.com",2024-01-01 00:00:00,true,DIRECT'])  # with a quote
    pipeline.land("sessions", "future.csv", ["1,2199-01-01 00:00:00,true,DIRECT"])
    load(pipeline.warehouse, ["sessions"], "test", print)
    take_out(pipeline, "sessions/future.csv")
    history = "select source_file, status, record_count, loaded_count, rejected_count, run_id from mart.load_history"
    assert pipeline.query(f"{history} order by 1", "analyst") == [
        ("sessions/future.csv", "unloaded", 1, 1, 0, "test"),
        ("sessions/none.csv", "refused", 0, 0, 0, "test"),
        ("sessions/some.csv", "loaded", 41, 40, 1, "test"),
    ]
    summary = "select feed, reason, record_count, waiting_count, replayed_count from mart.reject_summary"
    assert pipeline.query(summary, "analyst") == [("sessions", "wrong_type", 1, 1, 0)]
    for name in ("load_history", "reject_summary"):
        shown = str(pipeline.query(f"select * from mart.{name}", "analyst"))
        assert "example.com" not in shown
    assert "1 of 1 records" in str(pipeline.query("select error from mart.load_history", "analyst"))

    refused = "select source_file, corrected_at is null from mart.load_history where status = 'refused'"
    assert pipeline.query(refused, "analyst") == [("sessions/none.csv", True)]
    pipeline.land("sessions", "none.csv", ["99,2024-01-01 00:00:00,true,DIRECT"])
    load(pipeline.warehouse, ["sessions"], "test", print)
    assert pipeline.query(refused, "analyst") == [("sessions/none.csv", False)]
    pipeline.land("sessions", "some.csv", good)
    load(pipeline.warehouse, ["sessions"], "test", print)
    assert pipeline.query(summary, "analyst") == [("sessions", "wrong_type", 1, 0, 0)], (
        "nothing waits of what is replaced"
    )


def test_names_of_a_header_that_may_be_somebodys_are_not_shown(pipeline: Pipeline) -> None:
    """Also where a view of an older release is in its place."""
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        row = conn.execute("select pg_get_viewdef('mart.load_history'::regclass)").fetchone()
        assert row is not None
        definition = re.sub(r"regexp_replace\(.* AS error", "error AS error", str(row[0]))
        conn.execute(f"create or replace view mart.load_history as {definition}".encode())
    pipeline.prepare()
    for number, header in enumerate(
        [f"userid,{SECRET},o'neill{SECRET}", f'userid,"o\'neill ""{SECRET}""",x', f"4711;{SECRET};true"]
    ):
        (pipeline.landing / "sessions").mkdir(parents=True, exist_ok=True)
        (pipeline.landing / "sessions" / f"{number}.csv").write_text(f"{header}\n1,2,3\n")
    load(pipeline.warehouse, ["sessions"], "test", print)
    errors = [
        error for (error,) in pipeline.query("select error from mart.load_history order by source_file", "analyst")
    ]
    begin = "header is not the contract's (missing: time_started, is_paid"
    assert errors == [
        f'{begin}; unknown: "…", "…")',
        f'{begin}; unknown: "…", "…")',
        'header is not the contract\'s (missing: userid, time_started, is_paid; unknown: "…")',
    ]
    last = pipeline.query("select error from raw._loads order by source_file desc limit 1")
    assert SECRET not in str(last)


def test_gate_results_are_kept_whether_the_gate_opens_or_not(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "future.csv", ["1,2199-01-01 00:00:00,true,DIRECT"])
    pipeline.load()
    assert not gate_results.run_gate("raw", pipeline.warehouse, "run 1").succeeded
    results = {result.check_name: result for result in gate_results.of_run(pipeline.warehouse, "run 1")}
    failed = results["events_not_in_future_sessions"]
    assert (failed.gate, failed.kind, failed.tag) == ("raw", "events_not_in_future", "critical")
    assert (failed.severity, failed.status, failed.failing_row_count) == ("error", "fail", 1)
    assert failed.kept_in == "dq_failures.events_not_in_future_sessions"
    passed = results["not_null_sessions"]
    assert (passed.status, passed.failing_row_count, passed.kept_in) == ("pass", 0, "")

    take_out(pipeline, "sessions/future.csv")
    assert gate_results.run_gate("raw", pipeline.warehouse, "run 1").succeeded
    again = gate_results.of_run(pipeline.warehouse, "run 1")
    assert {result.status for result in again} == {"pass"}, "another try of the run takes the place of the first"
    assert {result.check_name for result in again} == set(results)

    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("update mart.gate_results set checked_at = now() - interval '401 days'")
    gate_results.record(pipeline.warehouse, "run 2", "raw", dbt.DbtResult(True, 0, (), ""))
    assert pipeline.query("select count(*) from mart.gate_results", "analyst") == [(0,)]


def test_operations_marts_are_made_once_and_are_for_readers_to_read(pipeline: Pipeline) -> None:
    oids = "select array_agg(oid::int order by oid) from pg_class where relnamespace = 'mart'::regnamespace"
    before = pipeline.query(oids)
    with psycopg.connect(pipeline.warehouse.conninfo("analyst")) as reader:
        reader.execute("select count(*) from mart.load_history")
        pipeline.prepare()  # does not wait for the reader
    assert pipeline.query(oids) == before
    with psycopg.connect(pipeline.warehouse.conninfo("analyst")) as conn, pytest.raises(psycopg.errors.Error):
        conn.execute("delete from mart.gate_results")


def test_a_warehouse_that_is_prepared_again_waits_for_no_writer_and_writes_no_row_of_a_table(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that waits for its turn prepares it every 20 seconds, beside the models and loads of another one."""
    rows = "select oid::int, xmin::text from {} where {} = any('{{raw,staging,dwh,mart}}'::regnamespace[])"
    relations = f"{rows.format('pg_class', 'relnamespace')} order by 1"
    schemas = f"{rows.format('pg_namespace', 'oid::regnamespace')} order by 1"
    before = pipeline.query(relations), pipeline.query(schemas)
    written = "raw._loads, raw._cold_files, raw.sessions, mart.gate_results, mart.dbt_invocations, dwh._alerts"
    monkeypatch.setattr("growth.warehouse.PATIENCE", {"transform": {"lock_timeout": "2s"}})
    with psycopg.connect(pipeline.warehouse.conninfo()) as writer:
        writer.execute(f"alter database {pipeline.warehouse.database} set lock_timeout = '2s'".encode())
        writer.commit()
        writer.execute(f"lock table {written} in row exclusive mode".encode())
        pipeline.prepare()
    assert (pipeline.query(relations), pipeline.query(schemas)) == before

    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:  # as a restored table, without default privileges
        conn.execute("create table mart.restored (a integer); revoke usage on schema dwh from analyst")
    pipeline.prepare()
    assert pipeline.query("select has_table_privilege('analyst', 'mart.restored', 'select')") == [(True,)]
    assert pipeline.query("select has_schema_privilege('analyst', 'dwh', 'usage')") == [(True,)]
