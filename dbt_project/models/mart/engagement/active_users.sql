-- Grain: one row per day, ISO week or month and slice: product, country, platform, category (or `all` of each).
-- Totals of all products have every period of the span, quiet ones 0. See docs/metrics.md#active-users.
with periods as (select * from {{ ref('int_engagement__periods') }}),

active as (select * from {{ ref('int_engagement__active_periods') }}),

slices as (
    select * from active
    union all
    select
        periods.period_type,
        periods.period_start,
        'all' as product,
        'all' as country,
        'all' as platform,
        'all' as category,
        0 as active_user_count,
        0 as event_count
    from periods
    where
        not exists (
            select 1 from active
            where active.period_type = periods.period_type and active.period_start = periods.period_start
        )
),

final as (
    select
        slices.period_type,
        slices.period_start,
        slices.product,
        slices.country,
        slices.platform,
        slices.category,
        slices.active_user_count,
        slices.event_count,
        periods.has_begun_in_span and periods.has_ended_in_span as is_complete
    from slices
    inner join periods on slices.period_type = periods.period_type and slices.period_start = periods.period_start
)

select * from final
