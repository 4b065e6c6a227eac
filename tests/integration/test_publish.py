"""What readers see of the marts, and what they may not see."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.pipeline import Pipeline

from growth import dbt
from growth.publish import MartChanged

SESSION = "1,2024-01-05 10:00:00,true,PAID SEARCH"


def attribution(pipeline: Pipeline) -> list[tuple[object, ...]]:
    return pipeline.query("select channel, registration_count from mart.channel_attribution", "analyst")


@pytest.mark.usefixtures("published")
def test_a_users_view_survives_a_failed_gate_and_follows_a_good_run(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo()) as conn:
        conn.execute(
            "create view public.my_channels as select channel, registration_count from mart.channel_attribution"
        )
        conn.execute("grant select on public.my_channels to analyst")
    view = "select * from public.my_channels"
    assert pipeline.query(view, "analyst") == [("PAID_SEARCH", 1)]

    # A gate fails: nothing after it runs, so mart and view stay.
    pipeline.land("conversions", "b.csv", ["2,2024-01-06 11:00:00"])
    pipeline.load()
    pipeline.build()
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute(
            "update mart_candidate.channel_attribution set registration_count = 7 where channel = 'PAID_SEARCH'"
        )
    result = dbt.check_layer("mart", pipeline.warehouse)
    assert not result.succeeded
    assert [failure.name for failure in result.failures] == [
        "acquisition_daily_agrees_with_channel_attribution",
        "channel_attribution_labels_sum_to_registrations",
    ]
    text = dbt.describe(result.failures[0])
    assert "1 failing rows" in text
    assert pipeline.query(result.failures[0].query), "the SQL in the log shows the failing rows"
    assert pipeline.query(view, "analyst") == attribution(pipeline) == [("PAID_SEARCH", 1)]

    pipeline.run()
    expected = [("PAID_SEARCH", 1), ("UNATTRIBUTED", 1)]
    assert sorted(pipeline.query(view, "analyst")) == sorted(attribution(pipeline)) == expected


def test_empty_feeds_give_empty_marts_that_pass_their_gates(pipeline: Pipeline) -> None:
    pipeline.run()
    pipeline.gates()
    assert attribution(pipeline) == []
    assert pipeline.query("select count(*) from mart.acquisition_daily", "analyst") == [(0,)]


def test_a_publication_records_rows_day_and_the_rules(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "a.csv", [SESSION])
    pipeline.run()
    [(as_of_date, version, counts)] = pipeline.query(
        "select as_of_date::text, rules_version, row_counts from mart.publications", "analyst"
    )
    assert as_of_date == "2024-01-05"
    assert version
    assert counts.keys() == set(dbt.mart_names())
    assert {mart: count for mart, count in counts.items() if count} == {"acquisition_daily": 1, "channel_conversion": 1}


@pytest.mark.usefixtures("published")
def test_analyst_reads_mart_and_dwh_and_nothing_else(pipeline: Pipeline) -> None:
    pipeline.run(full_refresh=True)  # rebuilt tables stay readable
    assert pipeline.query("select user_id from dwh.fct_sessions", "analyst") == [("1",)]
    for forbidden in (
        "select * from raw.sessions",
        "select * from raw._loads",
        "insert into raw.sessions values (1, now(), true, null, 1) returning 1",
        "select * from staging.stg_acquisition__sessions",
        "select * from mart_candidate.channel_attribution",
        "create table mart_previous.mine (id int)",
        "delete from mart.channel_attribution returning 1",
        "create table dwh.mine (id int)",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            pipeline.query(forbidden, "analyst")


@pytest.mark.usefixtures("published")
def test_a_reader_sees_the_old_set_or_the_new_one(pipeline: Pipeline) -> None:
    both = """
        select (select sum(registration_count) from mart.channel_attribution),
            (select sum(registration_count) from mart.acquisition_daily)
    """
    seen: set[tuple[object, ...]] = set()
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(pipeline.warehouse.conninfo("analyst"), autocommit=True) as conn:
            while not stop.is_set():
                seen.update(conn.execute(both.encode()).fetchall())

    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        try:
            for count in range(2, 30):
                with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
                    conn.execute("update mart_candidate.channel_attribution set registration_count = %s", (count,))
                    conn.execute(
                        "update mart_candidate.acquisition_daily set registration_count = %s"
                        " where registration_count > 0",
                        (count,),
                    )
                pipeline.publish()
        finally:
            stop.set()
        reading.result(30)
    assert len(seen) > 3, "the reader read while marts were published"
    assert all(total == daily for total, daily in seen)


@pytest.mark.usefixtures("published")
def test_a_candidate_without_a_model_is_not_published(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("create table mart_candidate.left_behind as select 1 as one")
    assert "left_behind" not in pipeline.publish().row_counts
    assert pipeline.query("select to_regclass('mart.left_behind')") == [(None,)]


@pytest.mark.usefixtures("published")
def test_a_new_column_appears_and_a_removed_one_is_refused(pipeline: Pipeline) -> None:
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("alter table mart_candidate.channel_conversion add column note text")
        conn.execute("comment on column mart_candidate.channel_conversion.note is 'A note.'")
    pipeline.publish()
    comment = "select col_description('mart.channel_conversion'::regclass, 9)"
    assert pipeline.query("select count(note) from mart.channel_conversion", "analyst") == [(0,)]
    assert pipeline.query(comment) == [("A note.",)]
    with psycopg.connect(pipeline.warehouse.conninfo("transform")) as conn:
        conn.execute("alter table mart_candidate.channel_conversion drop column note")
    before = pipeline.query("select count(*) from mart.publications")
    with pytest.raises(MartChanged, match=r"mart\.channel_conversion\.note"):
        pipeline.publish()
    assert pipeline.query("select count(*) from mart.publications") == before
