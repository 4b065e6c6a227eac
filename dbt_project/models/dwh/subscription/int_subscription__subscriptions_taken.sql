{{ config(materialized='view') }}
-- Grain: one row per subscription of the extract that a snapshot is taking (macros/snapshots.sql); none outside of one.
-- updated_at is the extract's date where it brings something new, so that an identical extract changes nothing in a
-- snapshot by timestamp; null, which is later than nothing, where the extract before had the same row.
with taken as (
    select * from {{ ref('stg_subscription__subscriptions') }}
    where extract_date = {{ taken_extract() }}
),

earlier as (
    select * from {{ ref('stg_subscription__subscriptions') }}
    where extract_date = {{ extract_before() }}
),

final as (
    select
        taken.subscription_id,
        taken.user_id,
        taken.start_date,
        taken.end_date,
        taken.monthly_price,
        case when earlier.subscription_id is null then {{ utc_midnight('taken.extract_date') }} end as updated_at
    from taken
    left join earlier
        on
            taken.subscription_id = earlier.subscription_id
            and taken.user_id = earlier.user_id
            and taken.start_date = earlier.start_date
            and taken.end_date is not distinct from earlier.end_date
            and taken.monthly_price = earlier.monthly_price
)

select * from final
