"""Who went, and who may go."""

from __future__ import annotations

from dashboard.query import Query, slices

CHURNED = Query(
    """
    select
        period_start,
        churned_user_count,
        resurrected_user_count,
        net_churn_rate,
        1 - gross_retention_rate as gross_churn_rate,
        is_complete
    from mart.growth_accounting
    where
        period_type = %(period_type)s and product = %(product)s and country = %(country)s
        and period_start between date_trunc(%(period_type)s, cast(%(from_date)s as date)) and %(to_date)s
    order by period_start
    """,
    ("growth_accounting",),
    slices("product", "country"),
)
BANDS = Query(
    """
    select product, churn_risk_band, count(*) as user_count
    from mart.churn_risk
    where product <> 'all' and %(product)s in ('all', product)
    group by product, churn_risk_band
    order by product, churn_risk_band
    """,
    ("churn_risk",),
    slices("product"),
    has_dates=False,
)
SCORES = Query(
    """
    select churn_risk_band, least(floor(churn_risk_score * 20), 19)::integer as score_bucket, count(*) as user_count
    from mart.churn_risk
    where product = %(product)s
    group by churn_risk_band, score_bucket
    order by churn_risk_band, score_bucket
    """,
    ("churn_risk",),
    slices("product"),
    has_dates=False,
)
FEATURES = Query(
    """
    select
        churn_risk_band,
        count(*) as user_count,
        round(avg(churn_risk_score), 3) as churn_risk_score,
        round(avg(recency_days), 1) as recency_days,
        round(avg(frequency_28d), 1) as frequency_28d,
        round(avg(event_count_7d), 1) as event_count_7d,
        round(avg(event_count_28d), 1) as event_count_28d,
        round(avg(tenure_days), 1) as tenure_days
    from mart.churn_risk
    where product = %(product)s
    group by churn_risk_band
    order by churn_risk_score
    """,
    ("churn_risk",),
    slices("product"),
    has_dates=False,
)
