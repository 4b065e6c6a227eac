-- How many people use us each month? Whole months only, so that the last one does not look like a fall.
select
    period_start,
    active_user_count,
    event_count
from mart.active_users
where
    period_type = 'month'
    and product = 'all' and country = 'all' and platform = 'all' and category = 'all'
    and is_complete
order by period_start
