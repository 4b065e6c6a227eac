-- How much of a month's audience comes on a day? The mean over each month of users of the day / users of 28 days, and
-- that of users of the day / users of the calendar month; the latter for whole months, for users come all month long.
with windows as (
    select
        cast(date_trunc('month', cast(as_of_date as timestamp)) as date) as month_start,
        product,
        round(avg(stickiness_28d), 3) as stickiness_28d_avg
    from mart.rolling_active_users
    where is_complete_window_28d
    group by cast(date_trunc('month', cast(as_of_date as timestamp)) as date), product
),

-- a product has no row on days without a user: these count as 0
user_days as (
    select
        cast(date_trunc('month', cast(period_start as timestamp)) as date) as month_start,
        product,
        sum(active_user_count) as user_day_count
    from mart.active_users
    where period_type = 'day' and country = 'all' and platform = 'all' and category = 'all'
    group by cast(date_trunc('month', cast(period_start as timestamp)) as date), product
),

months as (
    select
        period_start as month_start,
        product,
        active_user_count,
        cast(cast(period_start as timestamp) + interval '1' month as date) - period_start as day_count
    from mart.active_users
    where period_type = 'month' and country = 'all' and platform = 'all' and category = 'all' and is_complete
)

select
    windows.month_start,
    windows.product,
    windows.stickiness_28d_avg,
    round(user_days.user_day_count / nullif(months.active_user_count * months.day_count, 0), 3) as dau_mau_avg
from windows
left join months on windows.month_start = months.month_start and windows.product = months.product
left join user_days on windows.month_start = user_days.month_start and windows.product = user_days.product
order by windows.month_start, windows.product
