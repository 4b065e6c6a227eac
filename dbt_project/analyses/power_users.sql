-- How many are power users (21 active days of 28 or more), and do they become more?
select
    as_of_date,
    product,
    sum(case when active_day_count >= 21 then user_count else 0 end) as power_user_count,
    round(sum(case when active_day_count >= 21 then user_rate else 0 end), 3) as power_user_rate
from mart.power_user_curve
group by as_of_date, product
order by product, as_of_date
