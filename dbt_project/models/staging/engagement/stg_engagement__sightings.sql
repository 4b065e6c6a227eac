-- Grain: one row per delivered event that names a user, copies included: finds users without deduplicating events.
with events as (select * from {{ source('engagement', 'events') }}),

app_events as (select * from {{ source('engagement', 'app_events') }}),

sightings as (
    select
        '{{ feed_contract('events').identity }}' as identity,
        event_time as occurred_at,
        {{ clean_text('user_id') }} as user_id
    from events
    union all
    select
        '{{ feed_contract('app_events').identity }}' as identity,
        event_timestamp as occurred_at,
        {{ clean_text('user_id') }} as user_id
    from app_events
),

final as (
    select * from sightings
    where user_id is not null
)

select * from final
