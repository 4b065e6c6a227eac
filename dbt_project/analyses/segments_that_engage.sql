-- Which groups of people do most, each, in the newest month?
select
    segment_type,
    segment_value,
    active_user_count,
    round(events_per_user, 1) as events_per_user
from mart.segment_usage
where
    product = 'all'
    and period_start = (select max(segments.period_start) from mart.segment_usage as segments)
order by segment_type asc, events_per_user desc, segment_value asc
