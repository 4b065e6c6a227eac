-- Grain: one row per event of the social apps: exact copies, within and across files, collapse to one.
-- An id that comes again with other content is another row (warned of, not merged). The time is part of the
-- deduplication, so that one day can be read alone.
with source as (select * from {{ source('engagement', 'app_events') }}),

final as (
    select distinct
        {{ utc_date('event_timestamp') }} as occurred_date,
        event_timestamp as occurred_at,
        {{ clean_text('event_id') }} as event_id,
        {{ clean_text('user_id') }} as user_id,
        coalesce({{ slice_text('product') }}, '(none)') as product,
        {{ clean_text('event_type') }} as event_type,
        {{ clean_text('session_id') }} as session_id,
        duration_seconds,
        {{ slice_text('device') }} as platform,
        {{ slice_text('country') }} as country
    from source
)

select * from final
