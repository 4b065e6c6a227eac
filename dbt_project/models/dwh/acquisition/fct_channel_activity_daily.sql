{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['sessions'], 'day_column': 'activity_date'},
) }}
-- Grain: one row per UTC day and channel with at least one session.
-- The rollup that everything per day or per channel reads; rebuild_days makes it equal a full refresh.
with sessions as (select * from {{ ref('fct_sessions') }}),

final as (
    select
        session_started_date as activity_date,
        coalesce(channel, '(none)') as channel,
        count(*) as session_count,
        count(*) filter (where is_paid) as paid_session_count
    from sessions
    {% if is_incremental() %}
        where session_started_date in ({{ changed_days(['sessions']) }})
    {% endif %}
    group by session_started_date, coalesce(channel, '(none)')
)

select * from final
