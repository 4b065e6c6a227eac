{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'occurred_date'},
    indexes=[{'columns': ['occurred_date']}, {'columns': ['user_key', 'occurred_at']}],
    pre_hook='set local enable_mergejoin = off',
) }}
-- Grain: one row per event of any product.
-- rebuild_days deletes every changed day and inserts it again whole, so it equals a full refresh. The slice of an event
-- is looked up by four texts of few values each: the planner would sort all events for that, a hash of slices is small.
with miles_events as (
    select * from {{ ref('stg_engagement__events') }}
    {% if is_incremental() %}
        where {{ on_changed_days('occurred_at', event_feeds()) }}
    {% endif %}
),

app_events as (
    select * from {{ ref('stg_engagement__app_events') }}
    {% if is_incremental() %}
        where {{ on_changed_days('occurred_at', event_feeds()) }}
    {% endif %}
),

user_keys as (select * from {{ ref('int_engagement__user_keys') }}),

slices as (select * from {{ ref('int_engagement__slices') }}),

events as (
    select
        occurred_date,
        occurred_at,
        '{{ feed_contract('events').identity }}' as identity,
        user_id,
        'miles' as product,
        event_type,
        category,
        platform,
        country,
        utm_source,
        cast(null as text) as event_id,
        cast(null as text) as session_id,
        cast(null as bigint) as duration_microseconds,
        miles_amount
    from miles_events
    union all
    select
        occurred_date,
        occurred_at,
        '{{ feed_contract('app_events').identity }}' as identity,
        user_id,
        product,
        event_type,
        cast(null as text) as category,
        platform,
        country,
        cast(null as text) as utm_source,
        event_id,
        session_id,
        cast(duration_seconds * 1000000 as bigint) as duration_microseconds,
        cast(null as numeric) as miles_amount
    from app_events
),

final as (
    select
        events.occurred_date,
        user_keys.user_key,
        slices.slice_key,
        events.occurred_at,
        events.product,
        events.event_type,
        events.category,
        events.platform,
        events.country,
        events.utm_source,
        events.event_id,
        events.session_id,
        events.duration_microseconds,
        events.miles_amount
    from events
    left join user_keys on events.user_id = user_keys.user_id and events.identity = user_keys.identity
    left join slices
        on
            events.product = slices.product
            and coalesce(events.country, '(none)') = slices.country
            and coalesce(events.platform, '(none)') = slices.platform
            and coalesce(events.category, '(none)') = slices.category
)

select * from final
