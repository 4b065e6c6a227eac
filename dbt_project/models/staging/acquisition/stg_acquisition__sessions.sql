-- Grain: one row per session: exact copies, within and across files, collapse to one.
-- The time is part of the deduplication, so that one day can be read alone.
with source as (select * from {{ source('acquisition', 'sessions') }}),

final as (
    select distinct
        {{ utc_date('time_started') }} as session_started_date,
        time_started as session_started_at,
        cast(userid as text) as user_id,
        is_paid,
        {{ channel_text('medium') }} as channel
    from source
)

select * from final
