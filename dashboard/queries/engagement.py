"""Who is active, who stays, and how much."""

from __future__ import annotations

from dashboard.query import Query, slices

# The newest month that lies whole in the date range, else the newest that begins before its end.
NEWEST_MONTH = """
    with newest as (
        select period_start, is_complete
        from mart.active_users
        where period_type = 'month' and period_start <= %(to_date)s
        order by
            is_complete and period_start >= %(from_date)s
            and period_start + interval '1 month' <= cast(%(to_date)s as date) + 1 desc,
            period_start desc
        limit 1
    )
"""

ACTIVE_USERS = Query(
    """
    select period_start, active_user_count, event_count, is_complete
    from mart.active_users
    where
        period_type = %(period_type)s
        and product = %(product)s and country = %(country)s and platform = %(platform)s and category = %(category)s
        and period_start between date_trunc(%(period_type)s, cast(%(from_date)s as date)) and %(to_date)s
    order by period_start
    """,
    ("active_users",),
    slices("product country category", "product platform"),
)
ROLLING = Query(
    """
    select
        rolling.as_of_date,
        rolling.active_users_1d,
        daily.active_user_count_7d_average,
        rolling.active_users_7d,
        rolling.active_users_28d,
        rolling.active_users_30d,
        rolling.is_complete_window_28d,
        rolling.is_complete_window_30d
    from mart.rolling_active_users as rolling
    left join mart.usage_daily as daily
        on rolling.as_of_date = daily.activity_date and rolling.product = daily.product
    where rolling.product = %(product)s and rolling.as_of_date between %(from_date)s and %(to_date)s
    order by rolling.as_of_date
    """,
    ("rolling_active_users", "usage_daily"),
    slices("product"),
)
STICKINESS = Query(
    """
    select as_of_date, stickiness_7d, stickiness_28d, stickiness_30d, is_complete_window_30d
    from mart.rolling_active_users
    where product = %(product)s and as_of_date between %(from_date)s and %(to_date)s
    order by as_of_date
    """,
    ("rolling_active_users",),
    slices("product"),
)
PRODUCTS = Query(
    """
    select
        activity_date,
        product,
        active_user_count,
        active_user_count_7d_average,
        event_count,
        session_count,
        duration_hours
    from mart.usage_daily
    where
        product <> 'all' and (%(product)s = 'all' or product = %(product)s)
        and activity_date between %(from_date)s and %(to_date)s
    order by activity_date, product
    """,
    ("usage_daily",),
    slices("product"),
)
GROWTH = Query(
    """
    select
        period_start,
        active_user_count,
        new_user_count,
        retained_user_count,
        resurrected_user_count,
        churned_user_count,
        quick_ratio,
        gross_retention_rate,
        net_churn_rate,
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
COHORTS = Query(
    """
    select
        cohort_start,
        period_offset,
        cohort_size,
        retained_user_count,
        retention_rate,
        is_complete,
        is_complete_cohort
    from mart.retention_cohorts
    where
        period_type = %(period_type)s and product = %(product)s and country = %(country)s
        and cohort_start between date_trunc(%(period_type)s, cast(%(from_date)s as date)) and %(to_date)s
    order by cohort_start, period_offset
    """,
    ("retention_cohorts",),
    slices("product", "country"),
)
NDAY = Query(
    """
    select
        retention_type,
        day_number,
        sum(eligible_user_count) as eligible_user_count,
        sum(retained_user_count) as retained_user_count,
        sum(retained_user_count) / nullif(sum(eligible_user_count), 0) as retention_rate
    from mart.nday_retention
    where
        product = %(product)s
        and segment_type = case
            when %(country)s <> 'all' then 'country' when %(platform)s <> 'all' then 'platform' else 'all'
        end
        and segment_value = case when %(country)s <> 'all' then %(country)s else %(platform)s end
        and cohort_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    group by retention_type, day_number
    having sum(eligible_user_count) > 0
    order by retention_type, day_number
    """,
    ("nday_retention",),
    slices("product country", "product platform"),
)
NDAY_SEGMENTS = Query(
    """
    select
        segment_value,
        day_number,
        sum(eligible_user_count) as eligible_user_count,
        sum(retained_user_count) as retained_user_count,
        sum(retained_user_count) / nullif(sum(eligible_user_count), 0) as retention_rate
    from mart.nday_retention
    where
        product = %(product)s and segment_type = %(segment_type)s and retention_type = 'on_or_after'
        and cohort_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    group by segment_value, day_number
    having sum(eligible_user_count) > 0
    order by segment_value, day_number
    """,
    ("nday_retention",),
    slices("product"),
)
POWER_USERS = Query(
    """
    with newest as (
        select max(as_of_date) as as_of_date from mart.power_user_curve
        where product = %(product)s and as_of_date <= %(to_date)s
    )
    select
        curve.as_of_date,
        curve.active_day_count,
        curve.user_count,
        curve.user_rate,
        rolling.is_complete_window_28d
    from mart.power_user_curve as curve
    inner join newest on curve.as_of_date = newest.as_of_date
    inner join mart.rolling_active_users as rolling
        on curve.as_of_date = rolling.as_of_date and curve.product = rolling.product
    where curve.product = %(product)s
    order by curve.active_day_count
    """,
    ("power_user_curve", "rolling_active_users"),
    slices("product"),
)
CONCENTRATION = Query(
    """
    select
        tops.as_of_date,
        tops.top_percent,
        tops.event_count,
        tops.event_rate,
        rolling.is_complete_window_28d
    from mart.engagement_concentration as tops
    inner join mart.rolling_active_users as rolling
        on tops.as_of_date = rolling.as_of_date and tops.product = rolling.product
    where tops.product = %(product)s and tops.as_of_date = (select max(as_of_date) from mart.engagement_concentration)
    order by tops.top_percent
    """,
    ("engagement_concentration", "rolling_active_users"),
    slices("product"),
    has_dates=False,
)
FUNNEL = Query(
    """
    select
        product,
        step_number,
        step_name,
        user_count,
        step_conversion_rate,
        overall_conversion_rate,
        median_hours_from_previous
    from mart.engagement_funnel
    where %(product)s = 'all' or product = %(product)s
    order by product, step_number
    """,
    ("engagement_funnel",),
    slices("product"),
    has_dates=False,
)
CROSS_PRODUCT = Query(
    """
    with span as (select min(activity_date) as first_day, max(activity_date) as last_day from mart.usage_daily)
    select
        period_start,
        product_count,
        user_count,
        user_rate,
        period_start >= first_day and period_start + interval '1 month - 1 day' <= last_day as is_complete
    from mart.cross_product_usage
    cross join span
    where
        product_count > 0
        and period_start between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by period_start, product_count
    """,
    ("cross_product_usage", "usage_daily"),
)
OVERLAP = Query(
    NEWEST_MONTH
    + """
    select
        overlap.period_start,
        overlap.product_a,
        overlap.product_b,
        overlap.user_count,
        overlap.rate_of_a,
        overlap.rate_of_b,
        newest.is_complete
    from mart.product_overlap as overlap
    inner join newest on overlap.period_start = newest.period_start
    where %(product)s = 'all' or %(product)s in (overlap.product_a, overlap.product_b)
    order by overlap.product_a, overlap.product_b
    """,
    ("product_overlap", "active_users"),
    slices("product"),
)
SCORES = Query(
    """
    select scores.user_segment, scores.score_bucket, scores.user_count, rolling.is_complete_window_28d
    from mart.engagement_distribution as scores
    inner join mart.rolling_active_users as rolling
        on scores.as_of_date = rolling.as_of_date and scores.product = rolling.product
    where
        scores.product = %(product)s and scores.user_segment <> 'all'
        and scores.as_of_date = (select max(as_of_date) from mart.engagement_distribution)
    order by scores.user_segment, scores.score_bucket
    """,
    ("engagement_distribution", "rolling_active_users"),
    slices("product"),
    has_dates=False,
)
SEGMENTS = Query(
    NEWEST_MONTH
    + """
    select
        usage.period_start,
        usage.segment_value,
        usage.active_user_count,
        usage.event_count,
        usage.events_per_user,
        newest.is_complete
    from mart.segment_usage as usage
    inner join newest on usage.period_start = newest.period_start
    where usage.product = %(product)s and usage.segment_type = %(segment_type)s
    order by usage.active_user_count desc, usage.segment_value
    """,
    ("segment_usage", "active_users"),
    slices("product"),
)
COUNTRIES = Query(
    NEWEST_MONTH  # noqa: S608 (both are fixed text)
    + """
    select users.period_start, users.country, users.active_user_count, users.event_count, users.is_complete
    from mart.active_users as users
    inner join newest on users.period_start = newest.period_start
    where
        users.period_type = 'month' and users.country <> 'all' and users.product = %(product)s
        and users.platform = 'all' and users.category = %(category)s
    order by users.active_user_count desc, users.country
    """,
    ("active_users",),
    slices("product category"),
)
