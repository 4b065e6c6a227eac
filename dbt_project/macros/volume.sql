{#
    Rows of each new day beside the median of the same weekdays before it, where the ratio leaves the bounds. A day that
    a new load replaced is judged, too, unless it has about as many rows as it had. Earlier days count as they were before
    the new loads: a file that is written anew with half the rows of every day is not its own measure.
#}
{% macro volume_outside(model, feed, event_time, min_rate, max_rate) %}
{%- set new = load_list(new_loads(feed)) %}
{%- set pairs = days_to_compare(feed, with_replaced=true) %}
{%- set days = [] %}
{%- for pair in pairs %}{% do days.extend([pair[0], pair[1]]) %}{% endfor %}
with compared (event_date, earlier_date, is_replaced) as (
    {{ pairs_compared(pairs) }}
),
counts as (
    select event_date, count(*) filter (where not is_gone) as row_count, count(*) filter (where was_there) as row_count_before
    from (
        select {{ utc_date(event_time) }} as event_date, false as is_gone, _load_id not in ({{ new }}) as was_there
        from {{ model }}
        where {{ on_days(event_time, days) }}
        union all
        select {{ utc_date(event_time) }} as event_date, true as is_gone, true as was_there
        from raw._removed_{{ feed }}
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
        compared.is_replaced,
        coalesce(max(today.row_count), 0) as row_count,
        coalesce(max(today.row_count_before), 0) as row_count_before,
        percentile_cont(0.5) within group (order by coalesce(earlier.row_count_before, 0)) as expected_count
    from compared
    left join counts as today on compared.event_date = today.event_date
    left join counts as earlier on compared.earlier_date = earlier.event_date
    group by compared.event_date, compared.is_replaced
    having count(*) >= {{ var('compared_weeks_min') }}
)
select event_date, row_count, expected_count from volumes
where
    (
        (
            row_count < {{ min_rate }} * expected_count
            and (
                expected_count >= {{ var('volume_min_rows') }}
                or expected_count - row_count > {{ var('volume_chance') }} * sqrt(expected_count)
            )
        )
        or (row_count > {{ max_rate }} * expected_count and expected_count >= {{ var('volume_min_rows') }})
    )
    and not (
        is_replaced
        and row_count between {{ var('volume_usual_min_rate') }} * row_count_before
        and {{ var('volume_usual_max_rate') }} * row_count_before
    )
{% endmacro %}
