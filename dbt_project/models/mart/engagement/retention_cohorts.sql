-- Grain: one row per cohort (week or month of the first event), whole periods since, and product or country (the other
-- is `all`). A cohort has a row for every period up to the newest, zeros included. See docs/metrics.md#retention.
with periods as (
    select
        *,
        row_number() over (partition by period_type order by period_start) as period_number
    from {{ ref('int_engagement__periods') }}
),

cells as (select * from {{ ref('int_engagement__retention_cells') }}),

cohorts as (
    select
        period_type,
        cohort_start,
        product,
        country,
        user_count as cohort_size
    from cells
    where period_start = cohort_start
),

final as (
    select
        cohorts.period_type,
        cohorts.cohort_start,
        cohorts.product,
        cohorts.country,
        cast(periods.period_number - beginnings.period_number as integer) as period_offset,
        cohorts.cohort_size,
        coalesce(cells.user_count, 0) as retained_user_count,
        cast(coalesce(cells.user_count, 0) as numeric) / cohorts.cohort_size as retention_rate,
        periods.has_ended_in_span as is_complete,
        beginnings.has_begun_in_span and beginnings.has_ended_in_span as is_complete_cohort
    from cohorts
    inner join periods as beginnings
        on cohorts.period_type = beginnings.period_type and cohorts.cohort_start = beginnings.period_start
    inner join periods
        on cohorts.period_type = periods.period_type and periods.period_start >= cohorts.cohort_start
    left join cells
        on
            cohorts.period_type = cells.period_type
            and cohorts.cohort_start = cells.cohort_start
            and periods.period_start = cells.period_start
            and cohorts.product = cells.product
            and cohorts.country = cells.country
)

select * from final
