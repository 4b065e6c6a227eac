"""Values that are odd, but load: none of them may show in a mart as something else than it is."""

from __future__ import annotations

import pytest
from support.pipeline import Pipeline

EVENT = "2024-01-05 10:00:00,u,miles_earned,flight,{},ios,,FR"


@pytest.mark.parametrize("amounts", [("100", "100.0"), ("100.0", "100")])
def test_of_two_spellings_of_an_amount_the_order_of_files_shows_in_no_mart(
    pipeline: Pipeline, amounts: tuple[str, str]
) -> None:
    for amount in amounts:
        pipeline.land("events", f"{amounts.index(amount)}.csv", [EVENT.format(amount)])
    pipeline.run()
    shown = "select amount_total::text from mart.user_lifetimes union select miles_amount::text from dwh.fct_events"
    assert pipeline.query(shown) == [("100",)]


def test_a_value_that_is_called_as_a_total_has_rows_of_its_own(pipeline: Pipeline) -> None:
    """The gates, which compare totals with their slices and staging with raw, pass."""
    pipeline.land(
        "events",
        "a.csv",
        [
            "2024-01-05 10:00:00,u,miles_earned,all,1,all,all,all",
            "2024-01-05 10:00:00,u,miles_earned, all,1,all\t,all,all",
            "2024-01-05 11:00:00,v,miles_earned,flight,1,ios,,FR",
        ],
    )
    pipeline.land("app_events", "a.csv", ["e,u,all,view,2024-01-05 10:00:00,s,1,all,all"])
    pipeline.land("app_users", "extract_date=2024-01-05/a.csv", ["u,2024-01-01,all,all,all,all,"])
    pipeline.land("subscribers", "extract_date=2024-01-05/a.csv", ["u,all,,all", "v,FR,,a"])
    pipeline.land("subscriptions", "extract_date=2024-01-05/a.csv", ["s,u,2024-01-01,,10"])
    pipeline.land("payments", "a.csv", ["p,u,2024-01-05,10,", "q,v,2024-01-05,5,"])
    pipeline.land("viewing_activity", "a.csv", ["u,2024-01-05,1"])
    pipeline.run_domains("engagement", "subscription")
    month = "active_user_count from mart.active_users where period_type = 'month'"
    assert sorted(pipeline.query(f"select country, {month} and product || platform || category = 'allallall'")) == [
        *(("(all)", 1), ("FR", 1), ("all", 2)),
    ]
    assert sorted(pipeline.query(f"select product, {month} and country || platform || category = 'allallall'")) == [
        *(("(all)", 1), ("all", 2), ("miles", 2)),
    ]
    revenue = "select country, plan, revenue_amount::int from mart.monthly_revenue order by 1, 2"
    assert pipeline.query(revenue) == [
        *(("(all)", "all", 10), ("FR", "all", 5), ("all", "(all)", 10), ("all", "a", 5), ("all", "all", 15)),
    ]


def test_a_medium_that_is_called_unattributed_is_not_the_unattributed(pipeline: Pipeline) -> None:
    pipeline.land("sessions", "a.csv", ["1,2024-01-05 10:00:00,true,Unattributed"])
    pipeline.land("conversions", "a.csv", ["1,2024-01-05 11:00:00", "2,2024-01-05 11:00:00"])
    pipeline.run_domains("acquisition")
    days = "select channel, session_count, registration_count from mart.acquisition_daily order by 1"
    assert pipeline.query(days) == [("(UNATTRIBUTED)", 1, 1), ("UNATTRIBUTED", 0, 1)]


def test_a_subscription_that_ends_at_infinity_goes_on_like_one_without_an_end(pipeline: Pipeline) -> None:
    pipeline.land(
        "subscriptions",
        "extract_date=2024-03-31/a.csv",
        ["a,u,2024-01-10,infinity,10", "b,v,2024-01-10,,10", "c,w,2024-01-10,2024-02-10,10"],
    )
    pipeline.land("payments", "a.csv", ["1,u,2024-01-10,10,USD", "2,v,2024-03-31,10,USD"])
    pipeline.run()
    counts = "select month_start::text, closing_subscriber_count, closing_mrr_amount from mart.mrr_movements order by 1"
    assert pipeline.query(counts) == [("2024-01-01", 3, 30), ("2024-02-01", 2, 20), ("2024-03-01", 2, 20)]
    ends = "select user_id, end_date::text from dwh.dim_subscriptions_by_check where is_current order by 1"
    assert pipeline.query(ends) == [("u", "infinity"), ("v", None), ("w", "2024-02-10")]


def test_durations_below_zero_are_summed_as_they_are(pipeline: Pipeline) -> None:
    pipeline.land("app_events", "a.csv", ["e,u,facebook,view,2024-01-05 10:00:00,s,-5,ios,FR"])
    pipeline.run_domains("engagement")
    assert pipeline.query("select distinct round(duration_hours * 3600) from mart.usage_daily") == [(-5,)]
