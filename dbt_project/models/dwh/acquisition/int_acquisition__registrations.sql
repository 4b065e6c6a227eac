{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['conversions'], 'day_column': 'registered_date'},
    indexes=[{'columns': ['user_id', 'registered_at']}, {'columns': ['registered_date']}],
) }}
-- Grain: one row per registration, before attribution.
-- A table, so that the registrations of one user are found by index; rebuild_days makes it equal a full refresh.
with conversions as (select * from {{ ref('stg_acquisition__conversions') }}),

final as (
    select
        {{ surrogate_key(['user_id', utc_text('registered_at')]) }} as registration_sk,
        user_id,
        registered_at,
        registered_date
    from conversions
    {% if is_incremental() %}
        where {{ on_changed_days('registered_at', ['conversions']) }}
    {% endif %}
)

select * from final
