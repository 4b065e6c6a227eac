-- What do we earn each month, from how many, and how much from each? The unfinished month is marked.
select
    month_start,
    currency_code,
    revenue_amount,
    refund_amount,
    paying_user_count,
    round(arpu_amount, 2) as arpu_amount,
    round(arppu_amount, 2) as arppu_amount,
    is_complete
from mart.monthly_revenue
where country = 'all' and plan = 'all'
order by month_start, currency_code
