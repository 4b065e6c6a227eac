{#
    Rows of each new day beside the median of the same weekdays before it, where the ratio leaves the bounds. A file that
    was replaced by one with about as many rows of the day says nothing new of its volume.
#}
{% macro volume_outside(model, feed, event_time, min_rate, max_rate) %}
{%- set new = load_list(new_loads(feed)) %}
{%- set pairs = days_to_compare(feed) %}
{%- set days = [] %}
{%- for pair in pairs %}{% do days.extend([pair[0], pair[1]]) %}{% endfor %}
with compared as (
    {%- for pair in pairs %}
    select date '{{ pair[0] }}' as event_date, date '{{ pair[1] }}' as earlier_date{{ ' union all' if not loop.last }}
    {%- else %}
    select cast(null as date) as event_date, cast(null as date) as earlier_date where false
    {%- endfor %}
),
counts as (
    select event_date, count(*) as row_count
    from (
        select {{ utc_date(event_time) }} as event_date from {{ model }}
        where {{ on_days(event_time, days) }}
    ) as events
    group by event_date
),
replaced as (
    select event_date, count(*) as row_count
    from (
        select {{ utc_date(event_time) }} as event_date from raw._removed_{{ feed }}
        where
            {{ on_days(event_time, days) }}
            and _load_id in (
                select load_id from raw._loads
                where removed_by in ({{ new }}) and load_id not in ({{ new }})
            )
    ) as events
    group by event_date
),
volumes as (
    select
        compared.event_date,
        coalesce(max(today.row_count), 0) as row_count,
        coalesce(max(replaced.row_count), 0) as replaced_count,
        percentile_cont(0.5) within group (order by coalesce(earlier.row_count, 0)) as expected_count
    from compared
    left join counts as today on compared.event_date = today.event_date
    left join replaced on compared.event_date = replaced.event_date
    left join counts as earlier on compared.earlier_date = earlier.event_date
    group by compared.event_date
    having count(*) >= {{ var('compared_weeks_min') }}
)
select event_date, row_count, expected_count from volumes
where
    expected_count >= {{ var('volume_min_rows') }}
    and (row_count < {{ min_rate }} * expected_count or row_count > {{ max_rate }} * expected_count)
    and (
        replaced_count = 0
        or row_count < {{ var('volume_usual_min_rate') }} * replaced_count
        or row_count > {{ var('volume_usual_max_rate') }} * replaced_count
    )
{% endmacro %}
