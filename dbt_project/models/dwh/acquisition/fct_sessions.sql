{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['sessions'], 'day_column': 'session_started_date'},
    indexes=[{'columns': ['user_id', 'session_started_at']}, {'columns': ['session_started_date']}],
) }}
-- Grain: one row per session.
-- rebuild_days deletes every changed day and inserts it again whole, so it equals a full refresh.
with sessions as (select * from {{ ref('stg_acquisition__sessions') }}),

final as (
    select
        {{ surrogate_key(['user_id', utc_text('session_started_at'), 'is_paid', 'channel']) }} as session_sk,
        user_id,
        session_started_at,
        session_started_date,
        is_paid,
        channel
    from sessions
    {% if is_incremental() %}
        where {{ on_changed_days('session_started_at', ['sessions']) }}
    {% endif %}
)

select * from final
