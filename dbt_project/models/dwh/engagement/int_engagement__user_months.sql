{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_periods', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['user_key']}],
) }}
-- Grain: one row per calendar month, user and product with at least one event.
-- rebuild_user_periods builds the changed users' rows of the changed months anew.
with changed_keys as (
    {{ changed_user_keys() }}
),

final as (
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
            and user_periods.user_key in (select changed_keys.user_key from changed_keys)
        {% endif %}
    group by user_periods.period_start, user_periods.user_key, slices.product
)

select * from final
