-- Grain: one row per calendar month, country or plan (or the total: both `all`) and currency. The total has every month
-- of the span, a slice the months in which any of its users watched or paid. See docs/metrics.md#revenue.
with user_months as (
    select
        month_start,
        coalesce(country, '(none)') as country,
        coalesce(plan, '(none)') as plan,
        currency_code,
        revenue_amount,
        refund_amount,
        payment_count,
        case when is_paying then 1 else 0 end as paying_users,
        case when is_active then 1 else 0 end as active_users
    from {{ ref('fct_user_monthly_metrics') }}
    where is_active or payment_count > 0
),

months as (select * from {{ ref('int_subscription__months') }}),

currencies as (select * from {{ ref('int_subscription__currencies') }}),

money as (
    select
        month_start,
        coalesce(country, 'all') as country,
        coalesce(plan, 'all') as plan,
        currency_code,
        sum(revenue_amount) as revenue_amount,
        sum(refund_amount) as refund_amount,
        sum(payment_count) as payment_count,
        sum(paying_users) as paying_user_count
    from user_months
    group by
        grouping sets (
            (month_start, currency_code), (month_start, country, currency_code), (month_start, plan, currency_code)
        )
),

-- who watches is active whatever the currency
users as (
    select
        month_start,
        coalesce(country, 'all') as country,
        coalesce(plan, 'all') as plan,
        sum(active_users) as active_user_count
    from user_months
    group by grouping sets ((month_start), (month_start, country), (month_start, plan))
),

slices as (
    select
        month_start,
        country,
        plan
    from users
    union
    select
        month_start,
        'all' as country,
        'all' as plan
    from months
),

final as (
    select
        slices.month_start,
        slices.country,
        slices.plan,
        currencies.currency_code,
        coalesce(money.revenue_amount, 0) as revenue_amount,
        coalesce(money.refund_amount, 0) as refund_amount,
        cast(coalesce(money.payment_count, 0) as bigint) as payment_count,
        cast(coalesce(money.paying_user_count, 0) as bigint) as paying_user_count,
        cast(coalesce(users.active_user_count, 0) as bigint) as active_user_count,
        coalesce(money.revenue_amount, 0) / nullif(users.active_user_count, 0) as arpu_amount,
        coalesce(money.revenue_amount, 0) / nullif(money.paying_user_count, 0) as arppu_amount,
        months.is_complete
    from slices
    inner join months on slices.month_start = months.month_start
    cross join currencies
    left join users
        on
            slices.month_start = users.month_start
            and slices.country = users.country
            and slices.plan = users.plan
    left join money
        on
            slices.month_start = money.month_start
            and slices.country = money.country
            and slices.plan = money.plan
            and currencies.currency_code = money.currency_code
)

select * from final
