-- Grain: one row per month and pair of products, in the order of their names, with a user of both. See
-- docs/metrics.md#several-products.
with sets as (select * from {{ ref('int_engagement__product_sets') }}),

sizes as (
    select
        period_start,
        product,
        sum(user_count) as user_count
    from sets
    group by period_start, product
),

pairs as (
    select
        sets.period_start,
        sets.product as product_a,
        other_sets.product as product_b,
        cast(sum(sets.user_count) as bigint) as user_count
    from sets
    inner join sets as other_sets
        on
            sets.period_start = other_sets.period_start
            and sets.product_set = other_sets.product_set
            and {{ byte_order('sets.product') }} < {{ byte_order('other_sets.product') }}
    group by sets.period_start, sets.product, other_sets.product
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
