-- Grain: one row per event of the miles app: exact copies, within and across files, collapse to one.
-- The time is part of the deduplication, so that one day can be read alone.
with source as (select * from {{ source('engagement', 'events') }}),

final as (
    select distinct
        {{ utc_date('event_time') }} as occurred_date,
        event_time as occurred_at,
        {{ clean_text('user_id') }} as user_id,
        {{ clean_text('event_type') }} as event_type,
        {{ slice_text('transaction_category') }} as category,
        {{ plain_number('miles_amount') }} as miles_amount,
        {{ slice_text('platform') }} as platform,
        {{ slice_text('utm_source') }} as utm_source,
        {{ slice_text('country') }} as country
    from source
)

select * from final
