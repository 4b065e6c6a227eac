-- Grain: one row per day of the span and product (`all`: every day; a product: days with an active user).
-- Averages and growth look at the calendar, days without a row count 0. See docs/metrics.md#usage.
with days as (
    select
        period_start as activity_date,
        first_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'day'
),

active as (
    select
        period_start as activity_date,
        product,
        active_user_count,
        event_count
    from {{ ref('int_engagement__active_periods') }}
    where period_type = 'day' and country = 'all' and platform = 'all' and category = 'all'
),

durations as (
    select
        activity_date,
        coalesce(product, 'all') as product,
        sum(duration_microseconds) as duration_microseconds
    from {{ ref('fct_activity_daily') }}
    group by grouping sets ((activity_date), (activity_date, product))
),

sessions as (
    select
        activity_date,
        coalesce(product, 'all') as product,
        cast(sum(session_count) as bigint) as session_count
    from {{ ref('fct_app_sessions_daily') }}
    group by grouping sets ((activity_date), (activity_date, product))
),

products as (
    select product from {{ ref('dim_products') }}
    union all
    select 'all' as product
),

calendar as (
    select
        days.activity_date,
        days.first_date,
        products.product,
        coalesce(active.event_count, 0) as event_count,
        coalesce(active.active_user_count, 0) as active_user_count
    from days
    cross join products
    left join active on days.activity_date = active.activity_date and products.product = active.product
),

compared as (
    select
        *,
        avg(active_user_count) over (
            partition by product order by activity_date rows between 6 preceding and current row
        ) as average_7d,
        lag(active_user_count, 7) over (partition by product order by activity_date) as active_user_count_before
    from calendar
),

final as (
    select
        compared.activity_date,
        compared.product,
        compared.event_count,
        coalesce(sessions.session_count, 0) as session_count,
        {{ hours('coalesce(durations.duration_microseconds, 0)') }} as duration_hours,
        compared.active_user_count,
        case when compared.activity_date - 6 >= compared.first_date then compared.average_7d end
            as active_user_count_7d_average,
        cast(compared.active_user_count - compared.active_user_count_before as numeric)
        / nullif(compared.active_user_count_before, 0) as active_user_growth_rate_7d
    from compared
    left join sessions on compared.activity_date = sessions.activity_date and compared.product = sessions.product
    left join durations on compared.activity_date = durations.activity_date and compared.product = durations.product
    where compared.product = 'all' or compared.active_user_count > 0
)

select * from final
