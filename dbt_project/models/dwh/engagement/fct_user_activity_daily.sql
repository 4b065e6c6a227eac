{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day, user and slice (product, country, platform, category) with at least one event.
-- The rollup that every metric of users reads, instead of events. rebuild_days makes it equal a full refresh.
with events as (
    select * from {{ ref('fct_events') }}
    where user_key is not null
),

final as (
    select
        occurred_date as activity_date,
        user_key,
        slice_key,
        cast(count(*) as integer) as event_count,
        {{ sum_where_any('miles_amount') }} as amount_total
    from events
    {% if is_incremental() %}
        where occurred_date in ({{ changed_days(event_feeds()) }})
    {% endif %}
    group by occurred_date, user_key, slice_key
)

select * from final
