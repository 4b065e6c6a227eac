"""Where registrations come from."""

from __future__ import annotations

from dashboard.query import Query

ATTRIBUTION = Query(
    """
    with span as (select min(activity_date) as first_day, max(activity_date) as last_day from mart.acquisition_daily)
    select
        registration_month,
        channel,
        registration_count,
        registration_rate,
        registration_month >= first_day and registration_month + interval '1 month - 1 day' <= last_day as is_complete
    from mart.channel_attribution
    cross join span
    where
        attribution_model = %(attribution_model)s
        and registration_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    order by registration_month, channel
    """,
    ("channel_attribution", "acquisition_daily"),
)
MODELS = Query(
    """
    select attribution_model, channel, sum(registration_count) as registration_count
    from mart.channel_attribution
    where registration_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    group by attribution_model, channel
    order by attribution_model, channel
    """,
    ("channel_attribution",),
)
DAILY = Query(
    """
    with periods as (
        select
            date_trunc(%(period_type)s, activity_date) as period_start,
            channel,
            sum(session_count) as session_count,
            sum(paid_session_count) as paid_session_count,
            sum(registration_count) as registration_count
        from mart.acquisition_daily
        where activity_date between %(from_date)s and %(to_date)s
        group by date_trunc(%(period_type)s, activity_date), channel
    ),
    span as (
        select
            greatest(min(activity_date), %(from_date)s) as first_day,
            least(max(activity_date), %(to_date)s) as last_day
        from mart.acquisition_daily
    )
    select
        cast(period_start as date) as period_start,
        channel,
        session_count,
        paid_session_count,
        registration_count,
        period_start >= first_day
        and period_start + cast('1 ' || %(period_type)s as interval) - interval '1 day' <= last_day as is_complete
    from periods
    cross join span
    order by period_start, channel
    """,
    ("acquisition_daily",),
)
CONVERSION = Query(
    """
    select
        channel,
        session_count,
        touched_user_count,
        converted_user_count,
        conversion_rate,
        hours_to_conversion_avg,
        hours_to_conversion_median,
        hours_to_conversion_p90
    from mart.channel_conversion
    order by conversion_rate desc nulls last, channel
    """,
    ("channel_conversion",),
    has_dates=False,
)
QUALITY = Query(
    """
    select
        channel,
        sum(registered_user_count) as registered_user_count,
        sum(activated_user_count) as activated_user_count,
        sum(retained_user_count_30d) as retained_user_count_30d,
        sum(paying_user_count) as paying_user_count,
        sum(revenue_amount_90d) as revenue_amount_90d,
        bool_and(is_complete) as is_complete
    from mart.channel_quality
    where
        currency_code = %(currency_code)s
        and registration_month between date_trunc('month', cast(%(from_date)s as date)) and %(to_date)s
    group by channel
    having sum(registered_user_count) > 0
    order by registered_user_count desc, channel
    """,
    ("channel_quality",),
)
