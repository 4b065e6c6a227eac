{#
    Rows of each new day beside the median of the same weekdays before it, where the ratio leaves the bounds. A day that
    a new load replaced is judged, too, unless it has about as many rows as it had.
#}
{% macro volume_outside(model, feed, event_time, min_rate, max_rate) %}
{%- set new = load_list(new_loads(feed)) %}
{%- set pairs = days_to_compare(feed, with_replaced=true) %}
{%- set days, replaced = [], [] %}
{%- for pair in pairs %}
{%- do days.extend([pair[0], pair[1]]) %}
{%- if pair[2] %}{% do replaced.append(pair[0]) %}{% endif %}
{%- endfor %}
with compared (event_date, earlier_date, is_replaced) as (
    {{ pairs_compared(pairs) }}
),
counts as (
    select event_date, count(*) as row_count, count(*) filter (where not is_new) as kept_count
    from (
        select {{ utc_date(event_time) }} as event_date, _load_id in ({{ new }}) as is_new from {{ model }}
        where {{ on_days(event_time, days) }}
    ) as events
    group by event_date
),
removed as (
    select event_date, count(*) as row_count
    from (
        select {{ utc_date(event_time) }} as event_date from raw._removed_{{ feed }}
        where
            {{ on_days(event_time, replaced) }}
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
        coalesce(max(today.kept_count), 0) + coalesce(max(removed.row_count), 0) as row_count_before,
        percentile_cont(0.5) within group (order by coalesce(earlier.row_count, 0)) as expected_count
    from compared
    left join counts as today on compared.event_date = today.event_date
    left join removed on compared.event_date = removed.event_date
    left join counts as earlier on compared.earlier_date = earlier.event_date
    group by compared.event_date, compared.is_replaced
    having count(*) >= {{ var('compared_weeks_min') }}
)
select event_date, row_count, expected_count from volumes
where
    expected_count >= {{ var('volume_min_rows') }}
    and (row_count < {{ min_rate }} * expected_count or row_count > {{ max_rate }} * expected_count)
    and not (
        is_replaced
        and row_count between {{ var('volume_usual_min_rate') }} * row_count_before
        and {{ var('volume_usual_max_rate') }} * row_count_before
    )
{% endmacro %}
