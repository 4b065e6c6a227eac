-- Grain: one row per day, ISO week and month that has a day of the span of engagement: from the first to the last day
-- of any event. The data decide what is complete, never the clock.
with activity as (select * from {{ ref('fct_activity_daily') }}),

span as (
    select
        min(activity_date) as first_date,
        max(activity_date) as newest_date
    from activity
),

dates as (
    select dates.*
    from {{ ref('dim_dates') }} as dates
    inner join span on dates.calendar_date between span.first_date and span.newest_date
),

periods as (
    {% for type in period_types() %}
        select
            '{{ type }}' as period_type,
            {{ 'calendar_date' if type == 'day' else type ~ '_start' }} as period_start,
            {{ next_period(type, 'calendar_date' if type == 'day' else type ~ '_start') }} as next_start
        from dates
        group by {{ 'calendar_date' if type == 'day' else type ~ '_start' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        periods.period_type,
        periods.period_start,
        periods.next_start,
        periods.period_start >= span.first_date as has_begun_in_span,
        periods.next_start <= span.newest_date + 1 as has_ended_in_span,
        span.first_date,
        span.newest_date
    from periods
    cross join span
)

select * from final
