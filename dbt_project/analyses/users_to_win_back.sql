-- Whom should we write to? Those who were active and are about to leave: the most active of them first.
select
    user_id,
    recency_days,
    active_day_count,
    product_count,
    round(churn_risk_score, 2) as churn_risk_score
from mart.churn_risk
where product = 'all' and churn_risk_band = 'high' and frequency_28d > 0
order by active_day_count desc, user_id asc
limit 100
