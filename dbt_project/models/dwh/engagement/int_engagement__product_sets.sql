{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_periods'},
) }}
-- Grain: one row per calendar month, set of products that any user has in it, and product of the set.
-- Users are many, sets are few: who uses how many products, and which together, is counted from these.
with months as (
    select * from {{ ref('int_engagement__user_months') }}
    {% if is_incremental() %}
        where period_start in ({{ periods_of('month', pending_days(event_feeds())) }})
    {% endif %}
),

user_sets as (
    select
        period_start,
        user_key,
        -- with its length, no name can be taken for two
        string_agg(cast(length(product) as text) || ':' || product, '|' order by {{ byte_order('product') }})
            as product_set
    from months
    group by period_start, user_key
),

set_sizes as (
    select
        period_start,
        product_set,
        count(*) as user_count,
        min(user_key) as user_key
    from user_sets
    group by period_start, product_set
),

final as (
    select
        'month' as period_type,
        set_sizes.period_start,
        set_sizes.product_set,
        months.product,
        set_sizes.user_count
    from set_sizes
    -- any user of a set has its products
    inner join months on set_sizes.period_start = months.period_start and set_sizes.user_key = months.user_key
)

select * from final
