-- How much of the activity hangs on few people?
select
    product,
    top_percent,
    event_count,
    round(event_rate, 3) as event_rate
from mart.engagement_concentration
order by product, top_percent
