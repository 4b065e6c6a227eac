-- Do we grow because new people come, or because those who are here stay? A quick ratio over 1 is growth.
select
    period_start,
    new_user_count,
    retained_user_count,
    resurrected_user_count,
    churned_user_count,
    round(quick_ratio, 2) as quick_ratio
from mart.growth_accounting
where period_type = 'week' and product = 'all' and country = 'all' and is_complete
order by period_start
