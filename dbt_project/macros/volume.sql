{# Rows of each new day beside the median of the same weekdays before it, where the ratio leaves the bounds. #}
{% macro volume_outside(model, feed, event_time, min_rate, max_rate) %}
{%- set pairs = days_to_compare(feed) %}
{%- set days = [] %}
{%- for pair in pairs %}{% do days.extend([pair[0], pair[1]]) %}{% endfor %}
with compared as (
    {{ pairs_compared(pairs) }}
),
counts as (
    select event_date, count(*) as row_count
    from (
        select {{ utc_date(event_time) }} as event_date from {{ model }}
        where {{ on_days(event_time, days) }}
    ) as events
    group by event_date
),
volumes as (
    select
        compared.event_date,
        coalesce(max(today.row_count), 0) as row_count,
        percentile_cont(0.5) within group (order by coalesce(earlier.row_count, 0)) as expected_count
    from compared
    left join counts as today on compared.event_date = today.event_date
    left join counts as earlier on compared.earlier_date = earlier.event_date
    group by compared.event_date
    having count(*) >= {{ var('compared_weeks_min') }}
)
select * from volumes
where
    expected_count >= {{ var('volume_min_rows') }}
    and (row_count < {{ min_rate }} * expected_count or row_count > {{ max_rate }} * expected_count)
{% endmacro %}
