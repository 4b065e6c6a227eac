-- Grain: one row per day, ISO week or month and product or country (the other is `all`); the total has every period of
-- the span. See docs/metrics.md#growth-accounting.
with periods as (select * from {{ ref('int_engagement__periods') }}),

growth as (select * from {{ ref('int_engagement__growth_periods') }}),

tracks as (
    select
        period_type,
        period_start,
        product,
        country
    from growth
    union
    select
        period_type,
        period_start,
        'all' as product,
        'all' as country
    from periods
),

counts as (
    select
        tracks.period_type,
        tracks.period_start,
        tracks.product,
        tracks.country,
        coalesce(growth.active_user_count, 0) as active_user_count,
        coalesce(growth.new_user_count, 0) as new_user_count,
        coalesce(growth.retained_user_count, 0) as retained_user_count,
        coalesce(growth.resurrected_user_count, 0) as resurrected_user_count,
        coalesce(growth.churned_user_count, 0) as churned_user_count
    from tracks
    left join growth
        on
            tracks.period_type = growth.period_type
            and tracks.period_start = growth.period_start
            and tracks.product = growth.product
            and tracks.country = growth.country
),

final as (
    select
        counts.*,
        cast(counts.new_user_count + counts.resurrected_user_count as numeric) / nullif(counts.churned_user_count, 0)
            as quick_ratio,
        -- active in the period before: retained + churned
        cast(counts.retained_user_count as numeric)
        / nullif(counts.retained_user_count + counts.churned_user_count, 0) as gross_retention_rate,
        cast(counts.churned_user_count - counts.resurrected_user_count as numeric)
        / nullif(counts.retained_user_count + counts.churned_user_count, 0) as net_churn_rate,
        periods.has_begun_in_span and periods.has_ended_in_span as is_complete
    from counts
    inner join periods on counts.period_type = periods.period_type and counts.period_start = periods.period_start
)

select * from final
