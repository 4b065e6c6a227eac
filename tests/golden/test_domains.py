"""A domain goes its own way: built from nothing of another one, and as good alone as with others."""

from __future__ import annotations

from datetime import date

import pytest
from support.pipeline import Pipeline

from growth import dbt
from growth.publish import publish
from growth.settings import feeds_folder
from growth.status import silent_domains
from ingest.contract_files import load_contracts
from ingest.unload import unload


@pytest.mark.usefixtures("published")
def test_a_publication_of_one_domain_has_the_newest_day_of_all(pipeline: Pipeline) -> None:
    assert pipeline.as_of_date() == date(2024, 1, 5), "of the domain that is in the marts already"
    for number, (payment_date, newest_date) in enumerate([("2024-01-03", 5), ("2024-01-09", 9)]):
        pipeline.land("payments", f"{number}.csv", [f"p{number},u,{payment_date},1,"])
        pipeline.load("payments")
        assert dbt.run_layer("dwh", pipeline.warehouse, domains=["subscription"]).succeeded
        publish(pipeline.warehouse, "test", dbt.mart_names(["subscription"]))
        assert pipeline.as_of_date() == date(2024, 1, newest_date)


def test_one_feed_of_events_is_enough(pipeline: Pipeline) -> None:
    """Of the other domains, test_acquisition.py and test_subscription.py have nothing, either."""
    pipeline.land("events", "a.csv", ["2024-01-05 10:00:00,u,reward_search,flight,1.5,ios,,FR"])
    pipeline.run()
    pipeline.gates()
    users = "select product, active_user_count from mart.usage_daily order by 1"
    assert pipeline.query(users) == [("all", 1), ("miles", 1)]
    assert pipeline.as_of_date() == date(2024, 1, 5)
    assert silent_domains(pipeline.warehouse) == ["acquisition", "subscription"]

    contract = load_contracts(feeds_folder())["events"]
    unload(pipeline.warehouse.conninfo("ingest"), contract, "events/a.csv", run_id="test")
    (pipeline.landing / "events" / "a.csv").unlink()
    pipeline.land("app_events", "a.csv", ["e,u,threads,view,2024-01-07 10:00:00,s,2.5,ios,FR"])
    accounts = ["u,2024-01-01,FR,18-24,,core,", "never seen,2024-01-01,,,,,"]
    pipeline.land("app_users", "extract_date=2024-01-06/a.csv", accounts)
    pipeline.run()
    pipeline.gates()
    seen = "select user_id, domains, first_date::text from dwh.dim_users order by 1"
    assert pipeline.query(seen) == [("never seen", "engagement", None), ("u", "engagement", "2024-01-07")]
    segments = "select product, segment_value from mart.segment_usage where segment_type = 'user_segment' order by 1"
    assert pipeline.query(segments) == [("all", "core"), ("threads", "core")]
    assert pipeline.as_of_date() == date(2024, 1, 7)
    assert silent_domains(pipeline.warehouse) == ["acquisition", "subscription"]


def test_a_span_of_events_that_shrinks_over_quiet_days_ends_as_a_full_refresh(pipeline: Pipeline) -> None:
    pipeline.land("events", "a.csv", ["2024-03-01 10:00:00,u,reward_search,flight,1.5,ios,,FR"])
    pipeline.land("events", "b.csv", ["2024-03-04 10:00:00,v,reward_search,flight,1.5,ios,,FR"])
    pipeline.run()
    unload(pipeline.warehouse.conninfo("ingest"), load_contracts(feeds_folder())["events"], "events/b.csv", run_id="t")
    (pipeline.landing / "events" / "b.csv").unlink()
    pipeline.run()
    pipeline.gates()
    rolling = "select as_of_date::text, product, active_users_30d from dwh.fct_rolling_active_users order by 1, 2"
    assert pipeline.query(rolling) == [("2024-03-01", "all", 1), ("2024-03-01", "miles", 1)]
    incremental = pipeline.marts()
    pipeline.run(full_refresh=True)
    assert pipeline.marts() == incremental


@pytest.mark.parametrize(("day", "other"), [("0001-02-01", "0001-01-01"), ("9999-11-30", "9999-12-31")])
def test_events_of_the_first_and_the_last_days_that_load_are_built(pipeline: Pipeline, day: str, other: str) -> None:
    for name, event_day in (("a.csv", day), ("b.csv", other)):
        pipeline.land("events", name, [f"{event_day} 00:00:00,u,reward_search,flight,1.5,ios,,FR"])
        pipeline.run()
    active = "select to_char(activity_date, 'YYYY-MM-DD') from mart.usage_daily where active_user_count > 0 group by 1"
    assert pipeline.query(f"{active} order by 1") == [(each,) for each in sorted([day, other])]
