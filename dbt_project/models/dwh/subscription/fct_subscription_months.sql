-- Grain: one row per subscription and calendar month in which it is active on any day, as the newest extract has it.
-- Factless: the rows say that it is so; see docs/metrics.md#recurring-revenue.
with months as (select * from {{ ref('int_subscription__months') }}),

subscriptions as (
    select * from {{ ref('dim_subscriptions_by_check') }}
    where is_current and (end_date is null or end_date > start_date)
),

newest as (select max(newest_date) as newest_date from months),

active as (
    select
        subscriptions.subscription_id,
        subscriptions.identity,
        subscriptions.user_id,
        subscriptions.start_date,
        subscriptions.end_date,
        subscriptions.monthly_price,
        {{ month_spine(
            'subscriptions.start_date',
            'least(subscriptions.end_date - 1, newest.newest_date)',
            'month_start',
        ) }}
    from subscriptions
    cross join newest
    where subscriptions.start_date <= newest.newest_date
),

final as (
    select
        active.subscription_id,
        active.identity,
        active.user_id,
        active.month_start,
        active.monthly_price,
        '{{ feed_contract('subscriptions').currency }}' as currency_code,
        active.end_date is null or active.end_date > months.valued_date as is_subscribed_at_month_end
    from active
    inner join months on active.month_start = months.month_start
)

select * from final
