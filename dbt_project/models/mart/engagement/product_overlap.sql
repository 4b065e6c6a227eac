-- Grain: one row per month and pair of products, in the order of their names, with a user of both. See
-- docs/metrics.md#several-products.
with user_months as (select * from {{ ref('int_engagement__user_months') }}),

sizes as (
    select
        period_start,
        product,
        count(*) as user_count
    from user_months
    group by period_start, product
),

pairs as (
    select
        user_months.period_start,
        user_months.product as product_a,
        other_months.product as product_b,
        count(*) as user_count
    from user_months
    inner join user_months as other_months
        on
            user_months.period_start = other_months.period_start
            and user_months.user_key = other_months.user_key
            and {{ byte_order('user_months.product') }} < {{ byte_order('other_months.product') }}
    group by user_months.period_start, user_months.product, other_months.product
),

final as (
    select
        pairs.period_start,
        pairs.product_a,
        pairs.product_b,
        pairs.user_count,
        cast(pairs.user_count as numeric) / sizes_of_a.user_count as rate_of_a,
        cast(pairs.user_count as numeric) / sizes_of_b.user_count as rate_of_b
    from pairs
    inner join sizes as sizes_of_a
        on pairs.period_start = sizes_of_a.period_start and pairs.product_a = sizes_of_a.product
    inner join sizes as sizes_of_b
        on pairs.period_start = sizes_of_b.period_start and pairs.product_b = sizes_of_b.product
)

select * from final
