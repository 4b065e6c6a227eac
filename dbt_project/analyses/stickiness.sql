-- How much of a month's audience comes on a day? The mean over each month of users of the day / users of 28 days.
select
    cast(date_trunc('month', cast(as_of_date as timestamp)) as date) as month_start,
    product,
    round(avg(stickiness_28d), 3) as stickiness_28d_avg
from mart.rolling_active_users
where is_complete_window_28d
group by cast(date_trunc('month', cast(as_of_date as timestamp)) as date), product
order by month_start, product
