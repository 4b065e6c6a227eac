"""Who pays, and whether they go on."""

from __future__ import annotations

from dashboard.query import Query, slices

REVENUE = Query(
    """
    select
        month_start,
        revenue_amount,
        refund_amount,
        payment_count,
        paying_user_count,
        active_user_count,
        arpu_amount,
        arppu_amount,
        is_complete
    from mart.monthly_revenue
    where
        country = %(country)s and plan = %(plan)s and currency_code = %(currency_code)s
        and month_start between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by month_start
    """,
    ("monthly_revenue",),
    slices("country", "plan"),
)
PLANS = Query(
    """
    select month_start, plan, revenue_amount, is_complete
    from mart.monthly_revenue
    where
        country = 'all' and plan <> 'all' and (%(plan)s = 'all' or plan = %(plan)s)
        and currency_code = %(currency_code)s
        and month_start between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by month_start, plan
    """,
    ("monthly_revenue",),
    slices("plan"),
)
MRR = Query(
    """
    select
        month_start,
        opening_mrr_amount,
        new_mrr_amount,
        expansion_mrr_amount,
        reactivation_mrr_amount,
        contraction_mrr_amount,
        churn_mrr_amount,
        closing_mrr_amount,
        is_complete
    from mart.mrr_movements
    where
        currency_code = %(currency_code)s
        and month_start between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by month_start
    """,
    ("mrr_movements",),
)
SUBSCRIBERS = Query(
    """
    select
        month_start,
        new_subscriber_count,
        reactivated_subscriber_count,
        churned_subscriber_count,
        closing_subscriber_count,
        subscriber_churn_rate,
        ltv_amount,
        is_complete
    from mart.mrr_movements
    where
        currency_code = %(currency_code)s
        and month_start between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by month_start
    """,
    ("mrr_movements",),
)
COHORTS = Query(
    """
    select
        cohort_month,
        month_offset,
        cohort_size,
        cumulative_revenue_amount,
        cumulative_revenue_per_user_amount,
        is_complete
    from mart.revenue_retention
    where
        currency_code = %(currency_code)s
        and cohort_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by cohort_month, month_offset
    """,
    ("revenue_retention",),
)
