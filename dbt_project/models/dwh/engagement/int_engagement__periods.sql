-- Grain: one row per day, ISO week and month that has a day of the span of engagement: from the first to the last day
-- of any event. The data decide what is complete, never the clock.
with activity as (select * from {{ ref('fct_activity_daily') }}),

span as (
    select
        min(activity_date) as first_date,
        max(activity_date) as newest_date
    from activity
),

days as (select {{ date_spine('first_date', 'newest_date', 'calendar_date') }} from span),

dates as (
    select
        calendar_date,
        {{ week_start('calendar_date') }} as week_start,
        {{ month_start('calendar_date') }} as month_start
    from days
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
