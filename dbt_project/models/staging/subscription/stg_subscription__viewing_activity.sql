-- Grain: one row per viewing: exact copies, within and across files, collapse to one.
-- The day is part of the deduplication, so that one day can be read alone.
with source as (select * from {{ source('subscription', 'viewing_activity') }}),

final as (
    select distinct
        watch_date,
        {{ clean_text('user_id') }} as user_id,
        {{ plain_number('hours_watched') }} as watched_hours
    from source
)

select * from final
