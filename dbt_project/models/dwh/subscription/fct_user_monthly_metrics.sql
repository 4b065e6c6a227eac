-- Grain: one row per user, calendar month and currency, for months with any payment or viewing, or a subscription
-- active on any day. Who pays in one currency, or not at all, has one row a month; of several, viewing and subscription
-- stand in the first (that of the contract before others), so that every measure adds up.
with payments as (
    select
        user_id,
        {{ month_start('payment_date') }} as month_start,
        currency_code,
        sum(amount) as revenue_amount,
        sum(case when amount < 0 then -amount else 0 end) as refund_amount,
        count(*) as payment_count
    from {{ ref('fct_payments') }}
    where user_id is not null
    group by user_id, {{ month_start('payment_date') }}, currency_code
),

paid as (
    select
        *,
        row_number() over (
            partition by user_id, month_start
            order by
                case when currency_code = '{{ feed_contract('payments').currency }}' then 0 else 1 end,
                {{ byte_order('currency_code') }}
        ) as place
    from payments
),

viewing as (select * from {{ ref('int_subscription__viewing_months') }}),

subscribed as (
    select
        user_id,
        month_start,
        bool_or(is_subscribed_at_month_end) as is_subscribed
    from {{ ref('fct_subscription_months') }}
    group by user_id, month_start
),

user_months as (
    select
        user_id,
        month_start
    from paid
    union
    select
        user_id,
        month_start
    from viewing
    union
    select
        user_id,
        month_start
    from subscribed
),

subscribers as (
    select * from {{ ref('dim_subscribers') }}
    where is_current
),

final as (
    select
        '{{ feed_contract('payments').identity }}' as identity,
        user_months.user_id,
        user_months.month_start,
        coalesce(paid.currency_code, '{{ feed_contract('payments').currency }}') as currency_code,
        coalesce(paid.revenue_amount, 0) as revenue_amount,
        coalesce(paid.refund_amount, 0) as refund_amount,
        coalesce(paid.payment_count, 0) as payment_count,
        coalesce(viewing.watched_hours, 0) as watched_hours,
        coalesce(viewing.active_day_count, 0) as active_day_count,
        viewing.user_id is not null as is_active,
        coalesce(paid.revenue_amount > 0, false) as is_paying,
        coalesce(subscribed.is_subscribed, false) as is_subscribed,
        subscribers.plan_type as plan,
        subscribers.country
    from user_months
    left join paid on user_months.user_id = paid.user_id and user_months.month_start = paid.month_start
    left join viewing
        on
            user_months.user_id = viewing.user_id
            and user_months.month_start = viewing.month_start
            and coalesce(paid.place, 1) = 1
    left join subscribed
        on
            user_months.user_id = subscribed.user_id
            and user_months.month_start = subscribed.month_start
            and coalesce(paid.place, 1) = 1
    left join subscribers on user_months.user_id = subscribers.user_id
)

select * from final
