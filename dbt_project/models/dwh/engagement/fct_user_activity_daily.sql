{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day, user and slice (product, country, platform, category) with at least one event.
-- The rollup that every metric of users reads, instead of events. rebuild_days makes it equal a full refresh.
-- Days are grouped one by one, through the index on them: what a day needs fits the processor's cache, where the groups
-- of all history do not even fit work_mem.
with days as (
    {% if is_incremental() %}
        select unnest(array[{{ changed_days(event_feeds()) }}]) as activity_date
    {% else %}
        select {{ date_spine('min(occurred_date)', 'max(occurred_date)', 'activity_date') }}
        from {{ ref('fct_events') }}
    {% endif %}
),

final as (
    select
        days.activity_date,
        sums.user_key,
        sums.slice_key,
        sums.event_count,
        sums.amount_total
    from days
    cross join lateral (
        select
            events.user_key,
            events.slice_key,
            cast(count(*) as integer) as event_count,
            {{ sum_where_any('events.miles_amount') }} as amount_total
        from {{ ref('fct_events') }} as events
        where events.occurred_date = days.activity_date and events.user_key is not null
        group by events.user_key, events.slice_key
    ) as sums
)

select * from final
