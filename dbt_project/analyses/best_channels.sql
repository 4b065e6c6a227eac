-- Which channel brings people who come back after a week or later? Only channels with enough people to say so.
select
    segment_value as channel,
    sum(eligible_user_count) as eligible_user_count,
    round(cast(sum(retained_user_count) as numeric) / nullif(sum(eligible_user_count), 0), 3) as retention_rate_day_7
from mart.nday_retention
where product = 'all' and segment_type = 'channel' and day_number = 7 and retention_type = 'on_or_after'
group by segment_value
having sum(eligible_user_count) >= 20
order by retention_rate_day_7 desc, channel asc
