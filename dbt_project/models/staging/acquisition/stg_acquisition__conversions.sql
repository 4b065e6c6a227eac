{{ require_one_identity(['sessions', 'conversions']) }}
-- Grain: one row per registration: exact copies, within and across files, collapse to one.
-- The time is part of the deduplication, so that one day can be read alone.
with source as (select * from {{ source('acquisition', 'conversions') }}),

final as (
    select distinct
        {{ utc_date('registration_time') }} as registered_date,
        registration_time as registered_at,
        cast(userid as text) as user_id
    from source
)

select * from final
