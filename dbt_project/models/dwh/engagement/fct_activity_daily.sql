{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day, product, event type, country, platform and category with at least one event.
-- What adds up is counted here once, events without a user included. rebuild_days makes it equal a full refresh.
with events as (select * from {{ ref('fct_events') }}),

final as (
    select
        occurred_date as activity_date,
        product,
        event_type,
        coalesce(country, '(none)') as country,
        coalesce(platform, '(none)') as platform,
        coalesce(category, '(none)') as category,
        count(*) as event_count,
        cast(coalesce(sum(duration_microseconds), 0) as bigint) as duration_microseconds
    from events
    {% if is_incremental() %}
        where occurred_date in ({{ changed_days(event_feeds()) }})
    {% endif %}
    group by
        occurred_date, product, event_type,
        coalesce(country, '(none)'), coalesce(platform, '(none)'), coalesce(category, '(none)')
)

select * from final
