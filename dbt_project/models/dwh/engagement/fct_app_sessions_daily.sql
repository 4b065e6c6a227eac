{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day and product with at least one session.
-- A session over midnight counts on both days. rebuild_days makes it equal a full refresh.
with events as (select * from {{ ref('fct_events') }}),

sessions as (
    select
        occurred_date,
        product,
        session_id
    from events
    where
        session_id is not null
        {% if is_incremental() %}
            and occurred_date in ({{ changed_days(event_feeds()) }})
        {% endif %}
    group by occurred_date, product, session_id
),

final as (
    select
        occurred_date as activity_date,
        product,
        count(*) as session_count
    from sessions
    group by occurred_date, product
)

select * from final
