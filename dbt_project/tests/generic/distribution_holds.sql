{#
    The shares of a column's values on new days are those of the 28 days of history before them: half the sum of the
    differences (0: the same, 1: nothing in common) stays below var distribution_max_shift. A null is a value too.
#}
{% test distribution_holds(model, column_name, feed, event_time) %}
{{ config(tags=['warning'], severity='warn') }}
{%- set fresh, earlier = [], [] %}
{%- if execute %}
{%- set days %}
    with history as ({{ history_days(feed) }}),
    fresh as ({{ new_days(feed) }})
    select event_date, true as is_new from fresh
    where (
        select count(*) from history where history.event_date < (select min(fresh.event_date) from fresh)
    ) >= {{ var('history_min_days') }}
    union all
    select event_date, false from history
    where
        (select min(fresh.event_date) from fresh) - event_date between 1 and 28
        and event_date not in ({{ cold_days([feed]) }})
{%- endset %}
{%- for day in run_query(days).rows %}{% do (fresh if day[1] else earlier).append(day[0]) %}{% endfor %}
{%- endif %}
with counts as (
    select
        {{ column_name }} as value,
        count(*) filter (where {{ on_days(event_time, fresh) }}) as new_count,
        count(*) filter (where {{ on_days(event_time, earlier) }}) as earlier_count
    from {{ model }}
    where {{ on_days(event_time, fresh + earlier) }}
    group by {{ column_name }}
),
shares as (
    select
        *,
        cast(new_count as numeric) / nullif(sum(new_count) over (), 0) as new_share,
        cast(earlier_count as numeric) / nullif(sum(earlier_count) over (), 0) as earlier_share,
        least(sum(new_count) over (), sum(earlier_count) over ()) as row_count
    from counts
)
select * from (
    select *, sum(abs(new_share - earlier_share)) over () / 2 as shift from shares
) as shifts
where row_count >= {{ var('volume_min_rows') }} and shift > {{ var('distribution_max_shift') }}
{% endtest %}
