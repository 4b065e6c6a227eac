{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['viewing_activity'], 'day_column': 'watch_date'},
    indexes=[{'columns': ['watch_date']}],
) }}
-- Grain: one row per viewing; a user may have several on a day.
-- rebuild_days deletes every changed day and inserts it again whole, so it equals a full refresh.
with viewings as (select * from {{ ref('stg_subscription__viewing_activity') }}),

final as (
    select
        watch_date,
        '{{ feed_contract('viewing_activity').identity }}' as identity,
        user_id,
        watched_hours
    from viewings
    {% if is_incremental() %}
        where watch_date in ({{ changed_days(['viewing_activity']) }})
    {% endif %}
)

select * from final
