"""Headline numbers, newest first, each with its period; and the state of the warehouse."""

from __future__ import annotations

from dashboard.queries.gates import NEWEST_GATES
from dashboard.query import Query, slices

ACTIVE_USERS = Query(
    """
    select period_start, active_user_count as value
    from mart.active_users
    where
        period_type = %(period_type)s and is_complete
        and product = %(product)s and country = %(country)s and platform = %(platform)s and category = %(category)s
        and period_start >= %(from_date)s
        and period_start + cast('1 ' || %(period_type)s as interval) <= cast(%(to_date)s as date) + 1
    order by period_start desc
    """,
    ("active_users",),
    slices("product country category", "product platform"),
)
DAILY_AVERAGE = Query(
    """
    select activity_date as period_start, active_user_count_7d_average as value
    from mart.usage_daily
    where
        product = %(product)s and active_user_count_7d_average is not null
        and activity_date between %(from_date)s and %(to_date)s
        and mod(
            (
                select max(activity_date) from mart.usage_daily
                where product = %(product)s and activity_date <= %(to_date)s
            ) - activity_date, 7
        ) = 0
    order by activity_date desc
    """,
    ("usage_daily",),
    slices("product"),
)
STICKINESS = Query(
    """
    select as_of_date as period_start, stickiness_28d as value
    from mart.rolling_active_users
    where
        product = %(product)s and is_complete_window_28d
        and as_of_date between %(from_date)s and %(to_date)s
        and mod(
            (
                select max(as_of_date) from mart.rolling_active_users
                where product = %(product)s and as_of_date <= %(to_date)s
            ) - as_of_date, 7
        ) = 0
    order by as_of_date desc
    """,
    ("rolling_active_users",),
    slices("product"),
)
QUICK_RATIO = Query(
    """
    select period_start, quick_ratio as value
    from mart.growth_accounting
    where
        period_type = 'week' and is_complete and quick_ratio is not null
        and product = %(product)s and country = %(country)s
        and period_start >= %(from_date)s and period_start + 6 <= %(to_date)s
    order by period_start desc
    """,
    ("growth_accounting",),
    slices("product", "country"),
)
GROSS_RETENTION = Query(
    """
    select period_start, gross_retention_rate as value
    from mart.growth_accounting
    where
        period_type = 'week' and is_complete and gross_retention_rate is not null
        and product = %(product)s and country = %(country)s
        and period_start >= %(from_date)s and period_start + 6 <= %(to_date)s
    order by period_start desc
    """,
    ("growth_accounting",),
    slices("product", "country"),
)
REGISTRATIONS = Query(
    """
    select cast(date_trunc('week', activity_date) as date) as period_start, sum(registration_count) as value
    from mart.acquisition_daily
    where
        date_trunc('week', activity_date) >= %(from_date)s
        and date_trunc('week', activity_date) + interval '6 days'
        <= least(%(to_date)s, (select max(activity_date) from mart.acquisition_daily))
    group by date_trunc('week', activity_date)
    order by period_start desc
    """,
    ("acquisition_daily",),
)
REVENUE = Query(
    """
    select month_start as period_start, revenue_amount as value
    from mart.monthly_revenue
    where
        is_complete and country = %(country)s and plan = 'all' and currency_code = %(currency_code)s
        and month_start >= %(from_date)s
        and month_start + interval '1 month' <= cast(%(to_date)s as date) + 1
    order by month_start desc
    """,
    ("monthly_revenue",),
    slices("country"),
)
MRR = Query(
    """
    select month_start as period_start, closing_mrr_amount as value
    from mart.mrr_movements
    where
        is_complete and currency_code = %(currency_code)s
        and month_start >= %(from_date)s
        and month_start + interval '1 month' <= cast(%(to_date)s as date) + 1
    order by month_start desc
    """,
    ("mrr_movements",),
)
GATES = Query(
    NEWEST_GATES
    + """
    select
        newest.run_id,
        max(results.checked_at) as checked_at,
        count(*) filter (where status = 'pass') as passed_count,
        count(*) filter (where status = 'warn') as warned_count,
        count(*) filter (where status in ('fail', 'error')) as failed_count
    from newest
    inner join results on newest.run_id = results.run_id
    group by newest.run_id
    """,
    ("gate_results",),
    has_dates=False,
    is_operations=True,
)
FRESHNESS = Query(
    """
    select
        feed,
        max(finished_at) filter (where status = 'loaded') as loaded_at,
        count(*) filter (where status = 'loaded') as file_count,
        sum(loaded_count) filter (where status = 'loaded') as record_count,
        count(*) filter (where status = 'refused' and corrected_at is null) as refused_file_count
    from mart.load_history
    group by feed
    order by feed
    """,
    ("load_history",),
    has_dates=False,
    is_operations=True,
)
