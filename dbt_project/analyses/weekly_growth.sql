-- Do we grow because new people come, or because those who are here stay? A quick ratio over 1 is growth.
-- Whole weeks, the newest first, each with its change against the one before.
with weeks as (
    select
        period_start as week_start,
        new_user_count + retained_user_count + resurrected_user_count as active_user_count,
        new_user_count,
        retained_user_count,
        resurrected_user_count,
        churned_user_count,
        gross_retention_rate,
        quick_ratio
    from mart.growth_accounting
    where period_type = 'week' and product = 'all' and country = 'all' and is_complete
)

select
    week_start,
    active_user_count,
    active_user_count - lag(active_user_count) over (order by week_start) as active_change,
    new_user_count,
    new_user_count - lag(new_user_count) over (order by week_start) as new_change,
    retained_user_count,
    retained_user_count - lag(retained_user_count) over (order by week_start) as retained_change,
    resurrected_user_count,
    resurrected_user_count - lag(resurrected_user_count) over (order by week_start) as resurrected_change,
    churned_user_count,
    churned_user_count - lag(churned_user_count) over (order by week_start) as churned_change,
    round(gross_retention_rate, 3) as gross_retention_rate,
    round(quick_ratio, 2) as quick_ratio
from weeks
order by week_start desc
