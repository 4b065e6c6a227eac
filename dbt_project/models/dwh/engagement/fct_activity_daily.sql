{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day, product, event type, country, platform and category with at least one event.
-- What adds up is counted here once, events without a user included. rebuild_days makes it equal a full refresh.
with events as (select * from {{ ref('fct_events') }}),

slices as (select * from {{ ref('int_engagement__slices') }}),

activity as (
    select
        occurred_date,
        slice_key,
        coalesce(event_type, '(none)') as event_type,
        count(*) as event_count,
        cast(coalesce(sum(duration_microseconds), 0) as bigint) as duration_microseconds
    from events
    {% if is_incremental() %}
        where occurred_date in ({{ changed_days(event_feeds()) }})
    {% endif %}
    group by occurred_date, slice_key, coalesce(event_type, '(none)')
),

final as (
    select
        activity.occurred_date as activity_date,
        slices.product,
        activity.event_type,
        slices.country,
        slices.platform,
        slices.category,
        activity.event_count,
        activity.duration_microseconds
    from activity
    inner join slices on activity.slice_key = slices.slice_key
)

select * from final
