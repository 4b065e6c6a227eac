{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['viewing_activity'], 'rebuilt': 'changed_viewing_months'},
    indexes=[{'columns': ['month_start']}],
) }}
-- Grain: one row per user and calendar month with any viewing.
-- The months of changed days are built anew, so it equals a full refresh.
with days as (
    select
        user_id,
        watch_date,
        sum(watched_hours) as watched_hours
    from {{ ref('fct_viewing') }}
    where
        user_id is not null
        {% if is_incremental() %}
            and {{ in_period_days('month', pending_days(['viewing_activity']), 'watch_date') }}
        {% endif %}
    group by user_id, watch_date
),

final as (
    select
        user_id,
        {{ month_start('watch_date') }} as month_start,
        sum(watched_hours) as watched_hours,
        cast(count(*) as integer) as active_day_count,
        min(watch_date) as first_watch_date,
        max(watch_date) as last_watch_date
    from days
    group by user_id, {{ month_start('watch_date') }}
)

select * from final
