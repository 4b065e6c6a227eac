{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_curves'},
    indexes=[{'columns': ['as_of_date']}],
) }}
-- Grain: one row per as-of day (each month end of the span, and its newest day), product (or `all`) and number of active
-- days in the 28 days that end on it, with such a user.
with activity as (select * from {{ ref('fct_activity_daily') }}),

span as (
    select
        min(activity_date) as first_date,
        max(activity_date) as newest_date
    from activity
),

as_of_dates as (
    select dates.calendar_date as as_of_date
    from {{ ref('dim_dates') }} as dates
    inner join span on dates.calendar_date between span.first_date and span.newest_date
    where
        (dates.calendar_date = span.newest_date or {{ months_later('dates.month_start', 1) }} = dates.calendar_date + 1)
        {% if is_incremental() %}
            and {{ changed_curves('dates.calendar_date') }}
        {% endif %}
),

window_days as (
    select
        as_of_dates.as_of_date,
        dates.calendar_date
    from as_of_dates
    inner join {{ ref('dim_dates') }} as dates
        on dates.calendar_date > as_of_dates.as_of_date - 28 and dates.calendar_date <= as_of_dates.as_of_date
),

users as (
    select
        window_days.as_of_date,
        tracked.user_key,
        tracked.product,
        tracked.only_product,
        count(*) as active_day_count
    from window_days
    inner join (
        {{ tracked_periods('day', in_windows(curve_days(), 'period_start') if is_incremental() else 'true', by_country=false) }}
    ) as tracked on window_days.calendar_date = tracked.period_start
    group by window_days.as_of_date, tracked.user_key, tracked.product, tracked.only_product
),

counts as (
    select
        as_of_date,
        active_day_count,
        product,
        'all' as country,
        only_product,
        cast(null as text) as only_country,
        count(*) as user_count
    from users
    group by as_of_date, active_day_count, product, only_product
),

expanded as (
    {{ expand_tracks('counts', ['as_of_date', 'active_day_count'], ['user_count']) }}
),

final as (
    select
        as_of_date,
        product,
        cast(active_day_count as integer) as active_day_count,
        user_count
    from expanded
)

select * from final
