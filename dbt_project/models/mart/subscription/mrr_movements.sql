-- Grain: one row per calendar month of the span and currency of the subscriptions.
-- A user's month end is compared with the one before: rows of users who had or have a subscription then, and one more
-- where it ends. See docs/metrics.md#recurring-revenue.
with months as (select * from {{ ref('int_subscription__months') }}),

user_months as (
    select
        currency_code,
        user_id,
        month_start,
        sum(monthly_price) as mrr_amount
    from {{ ref('fct_subscription_months') }}
    where is_subscribed_at_month_end
    group by currency_code, user_id, month_start
),

neighbours as (
    select
        *,
        lag(month_start) over by_month as earlier_start,
        lag(mrr_amount) over by_month as earlier_amount,
        lead(month_start) over by_month as later_start
    from user_months
    window by_month as (partition by currency_code, user_id order by month_start)
),

steps as (
    select
        currency_code,
        month_start,
        earlier_start is null as is_first,
        case when earlier_start = {{ months_later('month_start', -1) }} then 1 else 0 end as was_subscribed,
        1 as is_subscribed,
        case when earlier_start = {{ months_later('month_start', -1) }} then earlier_amount else 0 end as before_amount,
        mrr_amount as after_amount
    from neighbours
    union all
    select
        neighbours.currency_code,
        months.month_start,
        false as is_first,
        1 as was_subscribed,
        0 as is_subscribed,
        neighbours.mrr_amount as before_amount,
        0 as after_amount
    from neighbours
    inner join months on {{ months_later('neighbours.month_start', 1) }} = months.month_start
    where neighbours.later_start is null or neighbours.later_start > months.month_start
),

movements as (
    select
        currency_code,
        month_start,
        sum(before_amount) as opening_mrr_amount,
        sum(case when before_amount = 0 and is_first then after_amount else 0 end) as new_mrr_amount,
        sum(case when before_amount > 0 and after_amount > before_amount then after_amount - before_amount else 0 end)
            as expansion_mrr_amount,
        sum(case when after_amount > 0 and after_amount < before_amount then before_amount - after_amount else 0 end)
            as contraction_mrr_amount,
        sum(case when after_amount = 0 then before_amount else 0 end) as churn_mrr_amount,
        sum(case when before_amount = 0 and not is_first then after_amount else 0 end) as reactivation_mrr_amount,
        sum(after_amount) as closing_mrr_amount,
        sum(was_subscribed) as opening_subscriber_count,
        sum(case when is_first then 1 else 0 end) as new_subscriber_count,
        sum(was_subscribed * (1 - is_subscribed)) as churned_subscriber_count,
        sum(case when is_first then 0 else is_subscribed * (1 - was_subscribed) end) as reactivated_subscriber_count,
        sum(is_subscribed) as closing_subscriber_count
    from steps
    group by currency_code, month_start
),

currencies as (
    select '{{ feed_contract('subscriptions').currency }}' as currency_code
),

revenue as (
    select * from {{ ref('monthly_revenue') }}
    where country = 'all' and plan = 'all'
),

counts as (
    select
        months.month_start,
        currencies.currency_code,
        coalesce(movements.opening_mrr_amount, 0) as opening_mrr_amount,
        coalesce(movements.new_mrr_amount, 0) as new_mrr_amount,
        coalesce(movements.expansion_mrr_amount, 0) as expansion_mrr_amount,
        coalesce(movements.contraction_mrr_amount, 0) as contraction_mrr_amount,
        coalesce(movements.churn_mrr_amount, 0) as churn_mrr_amount,
        coalesce(movements.reactivation_mrr_amount, 0) as reactivation_mrr_amount,
        coalesce(movements.closing_mrr_amount, 0) as closing_mrr_amount,
        cast(coalesce(movements.opening_subscriber_count, 0) as bigint) as opening_subscriber_count,
        cast(coalesce(movements.new_subscriber_count, 0) as bigint) as new_subscriber_count,
        cast(coalesce(movements.churned_subscriber_count, 0) as bigint) as churned_subscriber_count,
        cast(coalesce(movements.reactivated_subscriber_count, 0) as bigint) as reactivated_subscriber_count,
        cast(coalesce(movements.closing_subscriber_count, 0) as bigint) as closing_subscriber_count,
        months.is_complete
    from months
    cross join currencies
    left join movements
        on months.month_start = movements.month_start and currencies.currency_code = movements.currency_code
),

final as (
    select
        counts.*,
        cast(counts.churned_subscriber_count as numeric) / nullif(counts.opening_subscriber_count, 0)
            as subscriber_churn_rate,
        -- revenue per paying user / churn rate, in one division
        revenue.revenue_amount * counts.opening_subscriber_count
        / nullif(revenue.paying_user_count * counts.churned_subscriber_count, 0) as ltv_amount
    from counts
    left join revenue on counts.month_start = revenue.month_start and counts.currency_code = revenue.currency_code
)

select * from final
