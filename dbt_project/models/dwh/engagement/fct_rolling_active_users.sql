{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_windows', 'last_day': 'max(as_of_date)'},
    indexes=[{'columns': ['as_of_date']}],
) }}
-- Grain: one row per day of the span and product (or `all`) with an active user in the 30 days that end on it.
-- A user-day covers [day, min(the next active day, day + N)): disjoint per user, so +1 at its start and -1 at its end,
-- summed over days, counts the users of every N-day window exactly. Days and gaps are counted before they are summed.
{% set windows = [1, 7, 28, 30] %}
{% set days = days_to_rebuild() %}
with newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

user_days as (
    select
        period_start as activity_date,
        product,
        only_product,
        lead(period_start) over (partition by user_key, product order by period_start) - period_start as gap
    from (
        {{ tracked_periods('day', in_windows(days, 'period_start') if is_incremental() else 'true', by_country=false) }}
    ) as tracked
),

gaps as (
    select
        activity_date,
        product,
        only_product,
        least(coalesce(gap, 30), 30) as gap,
        count(*) as user_count
    from user_days
    group by activity_date, product, only_product, least(coalesce(gap, 30), 30)
),

by_product as (
    select activity_date, product, gap, user_count from gaps
    union all
    select activity_date, only_product, gap, user_count from gaps
    where only_product is not null
),

steps as (
    {% for window in windows %}
        select
            activity_date as step_date,
            product,
            {{ window }} as window_days,
            user_count as step
        from by_product
        union all
        select
            activity_date + least(gap, {{ window }}) as step_date,
            product,
            {{ window }} as window_days,
            -user_count as step
        from by_product
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

calendar as (
    select
        dates.calendar_date,
        products.product
    from {{ ref('dim_dates') }} as dates
    cross join (select distinct product from by_product) as products
    cross join newest
    where
        dates.calendar_date <= newest.newest_date
        {% if is_incremental() %}
            -- to the end of the last window that a user-day of these begins
            and {{ in_windows(days, 'dates.calendar_date', after=59) }}
        {% endif %}
),

sums as (
    select
        calendar.calendar_date as as_of_date,
        calendar.product
        {% for window in windows %},
        cast(
            sum(coalesce(sum(steps.step) filter (where steps.window_days = {{ window }}), 0)) over (
                partition by calendar.product order by calendar.calendar_date
            ) as bigint
        ) as active_users_{{ window }}d
        {% endfor %}
    from calendar
    left join steps on calendar.calendar_date = steps.step_date and calendar.product = steps.product
    group by calendar.calendar_date, calendar.product
),

final as (
    select * from sums
    where
        active_users_30d > 0
        {% if is_incremental() %}
            and {{ changed_windows() }}
        {% endif %}
)

select * from final
