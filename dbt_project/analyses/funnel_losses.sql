-- At which step of a funnel do we lose most people, and how long do they take for it?
select
    product,
    step_number,
    step_name,
    user_count,
    lag(user_count) over (partition by product order by step_number) - user_count as lost_user_count,
    round(step_conversion_rate, 3) as step_conversion_rate,
    round(median_hours_from_previous, 1) as median_hours_from_previous
from mart.engagement_funnel
order by product, step_number
