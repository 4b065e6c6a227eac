-- Grain: one row per month of the span and number of products, from 1 to as many as there are. See
-- docs/metrics.md#several-products.
with months as (
    select period_start
    from {{ ref('int_engagement__periods') }}
    where period_type = 'month'
),

numbers as (
    select cast(row_number() over (order by product) as integer) as product_count
    from {{ ref('dim_products') }}
),

sets as (
    select
        period_start,
        product_set,
        count(*) as product_count,
        min(user_count) as user_count
    from {{ ref('int_engagement__product_sets') }}
    group by period_start, product_set
),

counts as (
    select
        period_start,
        product_count,
        cast(sum(user_count) as bigint) as user_count
    from sets
    group by period_start, product_count
),

final as (
    select
        months.period_start,
        numbers.product_count,
        coalesce(counts.user_count, 0) as user_count,
        cast(coalesce(counts.user_count, 0) as numeric)
        / nullif(sum(counts.user_count) over (partition by months.period_start), 0) as user_rate
    from months
    cross join numbers
    left join counts
        on months.period_start = counts.period_start and numbers.product_count = counts.product_count
)

select * from final
