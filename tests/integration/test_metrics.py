"""Metrics of a warehouse: what `growth metrics` says of loads, gates, publications, limits, disks and Postgres."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from support.pipeline import Pipeline

from growth import dbt, gate_results, invocations
from growth.load import load
from growth.metrics.exporter import Exporter, sources

Samples = dict[tuple[str, ...], float]


def scrape(pipeline: Pipeline) -> dict[str, Samples]:
    """Samples by metric and values of labels, these by name, through the text that Prometheus gets."""
    registry = CollectorRegistry()
    registry.register(Exporter(sources(pipeline.warehouse, None, {"landing": pipeline.landing})))
    found: dict[str, Samples] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


def test_loads_gates_and_publications_are_told_to_prometheus(published: Pipeline) -> None:
    pipeline = published
    at = scrape(pipeline)
    assert at["growth_source_up"] == {("warehouse",): 1, ("limits",): 1, ("disk",): 1}
    assert at["growth_feed_files"] == {("sessions",): 1, ("conversions",): 1}
    assert at["growth_feed_records"][("sessions",)] == 1
    assert at["growth_feed_refused_files"] == {("sessions",): 0, ("conversions",): 0}
    assert at["growth_feed_newest_day_timestamp_seconds"][("sessions",)] == 1704412800, "2024-01-05"
    assert at["growth_publications_total"] == {(): 1}
    assert at["growth_publication_as_of_timestamp_seconds"] == {(): 1704412800}
    assert at["growth_mart_rows"][("channel_conversion",)] == at["growth_mart_changed_rows"][("channel_conversion",)]
    assert "growth_gate_checks" not in at, "no gate was run"

    # limits stand beside what they are for, so that rules need no numbers of their own
    assert at["growth_feed_reject_limit_ratio"][("sessions", "file")] == 0.05
    assert at["growth_feed_reject_limit_ratio"][("sessions", "usual")] == 0.01
    assert at["growth_feed_fresh_within_seconds"][("sessions", "warn")] == 2 * 86400
    assert at["growth_feed_delivered_within_seconds"][("sessions",)] == 48 * 3600
    assert at["growth_run_late_after_seconds"] == {(): 7200}
    assert 0 < at["growth_disk_free_bytes"][("landing",)] <= at["growth_disk_size_bytes"][("landing",)]
    assert at["growth_postgres_connections"][()] >= 1
    assert at["growth_postgres_database_size_bytes"][()] > 1e6

    # a day with rejects, a refused file, and a gate that fails again and again
    bad = [f"{user},2024-01-06 10:00:00,true,EMAIL" for user in range(39)]
    pipeline.land("sessions", "b.csv", [*bad, "bob@example.com,2024-01-06 10:00:00,true,EMAIL"])
    pipeline.land("sessions", "c.csv", ["bob@example.com,2024-01-06 10:00:00,true,EMAIL"])
    pipeline.land("conversions", "b.csv", ["1,2199-01-05 11:00:00"])
    load(pipeline.warehouse, ["sessions", "conversions"], "second", print)
    failed = gate_results.run_gate("raw", pipeline.warehouse, "second")
    assert not failed.succeeded
    gate_results.record(pipeline.warehouse, "third", "raw", failed)  # as the next run finds it
    with psycopg.connect(pipeline.warehouse.conninfo("ingest")) as busy:
        busy.execute("select pg_sleep(0.3)")
        at = scrape(pipeline)
    assert at["growth_feed_last_load_reject_ratio"][("sessions",)] == 1 / 40
    assert at["growth_feed_quarantined_records"][("sessions",)] == 1
    assert at["growth_feed_refused_files"] == {("sessions",): 1, ("conversions",): 0}
    assert at["growth_gate_checks"][("raw", "fail")] == 1
    assert at["growth_gate_checks"][("raw", "pass")] > 5
    assert at["growth_gate_checks"][("raw", "error")] == 0
    assert at["growth_check_failing_runs"][("events_not_in_future_conversions", "raw", "error")] == 2
    assert 0.3 < at["growth_postgres_longest_transaction_seconds"][()] < 60
    assert "bob" not in str(at)

    # the dbt command is written down under the name that the task's log gives it
    query = "select invocation_id, run_id, task_id, status, failed_nodes from mart.dbt_invocations"
    assert pipeline.query(query, "analyst") == [
        (failed.invocation_id, "second", "gate_raw", "failed", ["events_not_in_future_conversions"])
    ]
    line = invocations.describe("second", "gate_raw", failed)
    assert line == f"run_id=second task_id=gate_raw dbt_invocation_id={failed.invocation_id} status=failed"
    # and is no row where it did not reach the warehouse, or there was nothing to do
    lost = dbt.DbtResult(False, 0, (), "connection refused", (), "some id")
    invocations.record(pipeline.warehouse, "third", "run_dwh", lost)
    invocations.record(pipeline.warehouse, "third", "run_dwh", dbt.DbtResult(True, 0, (), ""))
    assert len(pipeline.query(query)) == 1

    # marts of before are back, and nothing is mended by that
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(
            "insert into mart.publications (run_id, rules_version, row_counts, is_rollback)"
            " values ('rollback', '', '{}', true)"
        )
    at = scrape(pipeline)
    assert (at["growth_publications_total"], at["growth_publication_is_rollback"]) == ({(): 2}, {(): 1})
    assert at["growth_feed_refused_files"] == {("sessions",): 1, ("conversions",): 0}


def test_a_source_that_is_down_takes_no_other_with_it(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "host=127.0.0.1 port=1 dbname=airflow connect_timeout=2"
    exporter = Exporter(sources(pipeline.warehouse, nowhere, {"gone": tmp_path / "gone"}))
    up = next(metric for metric in exporter.collect() if metric.name == "growth_source_up")
    assert {sample.labels["source"]: sample.value for sample in up.samples} == {
        **{"warehouse": 1, "limits": 1},
        **{"disk": 0, "airflow": 0},
    }
    said = capsys.readouterr().err
    assert "metrics of disk: " in said
    assert "metrics of airflow: " in said
