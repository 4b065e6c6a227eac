-- Grain: one row per cohort (month of a user's first payment above 0), whole months since, up to the newest, and
-- currency. See docs/metrics.md#revenue-retention.
with user_months as (
    select * from {{ ref('fct_user_monthly_metrics') }}
    where payment_count > 0
),

months as (select * from {{ ref('int_subscription__months') }}),

currencies as (select * from {{ ref('int_subscription__currencies') }}),

cohorts as (
    select
        user_id,
        min(month_start) as cohort_month
    from user_months
    where revenue_amount + refund_amount > 0 -- something was paid, whatever was paid back
    group by user_id
),

sizes as (
    select
        cohort_month,
        count(*) as cohort_size
    from cohorts
    group by cohort_month
),

revenue as (
    select
        cohorts.cohort_month,
        user_months.month_start,
        user_months.currency_code,
        sum(user_months.revenue_amount) as revenue_amount
    from user_months
    inner join cohorts on user_months.user_id = cohorts.user_id
    where user_months.month_start >= cohorts.cohort_month
    group by cohorts.cohort_month, user_months.month_start, user_months.currency_code
),

cells as (
    select
        sizes.cohort_month,
        sizes.cohort_size,
        months.month_start,
        months.is_complete,
        currencies.currency_code,
        row_number() over (
            partition by sizes.cohort_month, currencies.currency_code order by months.month_start
        ) - 1 as month_offset
    from sizes
    inner join months on sizes.cohort_month <= months.month_start
    cross join currencies
),

cumulated as (
    select
        cells.*,
        coalesce(revenue.revenue_amount, 0) as revenue_amount,
        sum(coalesce(revenue.revenue_amount, 0)) over (
            partition by cells.cohort_month, cells.currency_code order by cells.month_start
        ) as cumulative_revenue_amount
    from cells
    left join revenue
        on
            cells.cohort_month = revenue.cohort_month
            and cells.month_start = revenue.month_start
            and cells.currency_code = revenue.currency_code
),

final as (
    select
        cohort_month,
        cast(month_offset as integer) as month_offset,
        currency_code,
        cohort_size,
        revenue_amount,
        cumulative_revenue_amount,
        cumulative_revenue_amount / cohort_size as cumulative_revenue_per_user_amount,
        is_complete
    from cumulated
)

select * from final
