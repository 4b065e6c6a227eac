{{ config(materialized='view') }}
-- Grain: one row per user of the extract that a snapshot is taking (macros/snapshots.sql); none outside of one.
with subscribers as (select * from {{ ref('stg_subscription__subscribers') }}),

final as (
    select
        user_id,
        country,
        signup_date,
        plan_type
    from subscribers
    where extract_date = {{ taken_extract() }}
)

select * from final
