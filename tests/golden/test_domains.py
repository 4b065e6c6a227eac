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
    pipeline.land("app_users", "extract_date=2024-01-06/a.csv", ["u,2024-01-01,FR,18-24,,core,"])
    pipeline.run()
    pipeline.gates()
    segments = "select product, segment_value from mart.segment_usage where segment_type = 'user_segment' order by 1"
    assert pipeline.query(segments) == [("all", "core"), ("threads", "core")]
    assert pipeline.as_of_date() == date(2024, 1, 7)
    assert silent_domains(pipeline.warehouse) == ["acquisition", "subscription"]
