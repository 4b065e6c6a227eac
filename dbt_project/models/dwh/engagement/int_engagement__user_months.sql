{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_periods'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per calendar month, user and product with at least one event.
-- Changed months are built anew whole: reading them is faster than looking up the users of a day, who are the busiest.
with months as (
    select
        user_slices.month_start,
        user_slices.user_key,
        slices.product,
        cast(sum(user_slices.event_count) as bigint) as event_count
    from {{ ref('int_engagement__user_slices') }} as user_slices
    inner join {{ ref('int_engagement__slices') }} as slices on user_slices.slice_key = slices.slice_key
    {% if is_incremental() %}
        where user_slices.month_start in ({{ periods_of('month', pending_days(event_feeds())) }})
    {% endif %}
    group by user_slices.month_start, user_slices.user_key, slices.product
),

final as (
    select
        'month' as period_type,
        month_start as period_start,
        user_key,
        product,
        product = min(product) over (partition by month_start, user_key) as is_first_product,
        event_count
    from months
)

select * from final
