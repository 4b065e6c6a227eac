-- Grain: one row per delivered event, copies included: finds users and slices without deduplicating events.
with events as (select * from {{ source('engagement', 'events') }}),

app_events as (select * from {{ source('engagement', 'app_events') }}),

final as (
    select
        '{{ feed_contract('events').identity }}' as identity,
        event_time as occurred_at,
        {{ clean_text('user_id') }} as user_id,
        'miles' as product,
        coalesce({{ slice_text('country') }}, '(none)') as country,
        coalesce({{ slice_text('platform') }}, '(none)') as platform,
        coalesce({{ slice_text('transaction_category') }}, '(none)') as category
    from events
    union all
    select
        '{{ feed_contract('app_events').identity }}' as identity,
        event_timestamp as occurred_at,
        {{ clean_text('user_id') }} as user_id,
        coalesce({{ slice_text('product') }}, '(none)') as product,
        coalesce({{ slice_text('country') }}, '(none)') as country,
        coalesce({{ slice_text('device') }}, '(none)') as platform,
        '(none)' as category
    from app_events
)

select * from final
