{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_periods'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per calendar month, user and product with at least one event.
-- Changed months are built anew whole: reading them is faster than looking up the users of a day, who are the busiest.
with final as (
    select
        'month' as period_type,
        user_periods.period_start,
        user_periods.user_key,
        slices.product,
        cast(sum(user_periods.event_count) as bigint) as event_count
    from {{ ref('int_engagement__user_periods') }} as user_periods
    inner join {{ ref('int_engagement__slices') }} as slices on user_periods.slice_key = slices.slice_key
    where
        user_periods.period_type = 'month'
        {% if is_incremental() %}
            and user_periods.period_start in ({{ periods_of('month', pending_days(event_feeds())) }})
        {% endif %}
    group by user_periods.period_start, user_periods.user_key, slices.product
)

select * from final
