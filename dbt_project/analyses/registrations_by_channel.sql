-- Which channel brought the registrations of each month?
select
    registration_month,
    channel,
    registration_count,
    round(registration_rate, 3) as registration_rate
from mart.channel_attribution
where attribution_model = 'rule_based'
order by registration_month asc, registration_count desc, channel asc
