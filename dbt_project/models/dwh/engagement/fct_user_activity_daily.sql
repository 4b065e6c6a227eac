{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'day_column': 'activity_date'},
    indexes=[{'columns': ['activity_date']}],
) }}
-- Grain: one row per UTC day, user and slice (product, country, platform, category) with at least one event.
-- The rollup that every metric of users reads, instead of events. rebuild_days makes it equal a full refresh.
with events as (
    select * from {{ ref('fct_events') }}
    where user_key is not null
),

slices as (select * from {{ ref('int_engagement__slices') }}),

activity as (
    select
        occurred_date,
        user_key,
        product,
        coalesce(country, '(none)') as country,
        coalesce(platform, '(none)') as platform,
        coalesce(category, '(none)') as category,
        count(*) as event_count,
        sum(miles_amount) as amount_total
    from events
    {% if is_incremental() %}
        where occurred_date in ({{ changed_days(event_feeds()) }})
    {% endif %}
    group by
        occurred_date, user_key, product,
        coalesce(country, '(none)'), coalesce(platform, '(none)'), coalesce(category, '(none)')
),

final as (
    select
        activity.occurred_date as activity_date,
        activity.user_key,
        slices.slice_key,
        cast(activity.event_count as integer) as event_count,
        activity.amount_total
    from activity
    inner join slices
        on
            activity.product = slices.product
            and activity.country = slices.country
            and activity.platform = slices.platform
            and activity.category = slices.category
)

select * from final
