{#
    Figures of new days (or extracts) beside the same figures of the days before them: a row for each day and figure.
    `figures` is a list of (name, SQL of how many values it is of, SQL of the figure): aggregates, all from one scan, which
    reads the days of `pairs` and nothing else. What is expected is the median of the earlier days, so that one odd day
    among them says nothing.
#}
{% macro figures_compared(model, event_time, pairs, figures) %}
{%- set days = [] %}
{%- for pair in pairs %}{% do days.extend([pair[0], pair[1]]) %}{% endfor %}
with compared (event_date, earlier_date, is_replaced) as (
    {{ pairs_compared(pairs) }}
),
days as (
    select
        {{ utc_date(event_time) }} as event_date,
        count(*) as row_count
        {%- for name, value_count, value in figures %},
        {{ value_count }} as value_count_{{ loop.index }},
        cast({{ value }} as numeric) as value_{{ loop.index }}
        {%- endfor %}
    from {{ model }}
    where {{ on_days(event_time, days) }}
    group by {{ utc_date(event_time) }}
),
figures as (
    {%- for name, value_count, value in figures %}
    select
        event_date, row_count, '{{ name }}' as figure,
        value_count_{{ loop.index }} as value_count, value_{{ loop.index }} as value
    from days
    {{- ' union all' if not loop.last }}
    {%- endfor %}
)
select
    today.event_date,
    today.figure,
    today.row_count,
    today.value_count,
    percentile_disc(0.5) within group (order by earlier.value_count) as expected_count,
    today.value,
    percentile_disc(0.5) within group (order by earlier.value) as expected_value
from compared
inner join figures as today on compared.event_date = today.event_date
inner join figures as earlier on compared.earlier_date = earlier.event_date and today.figure = earlier.figure
group by today.event_date, today.figure, today.row_count, today.value_count, today.value
{% endmacro %}

{# The pairs of days_to_compare, or of extracts_to_compare, as rows: the day, the earlier one, whether it was replaced. #}
{% macro pairs_compared(pairs) -%}
    values
    {%- for pair in pairs %}
    (date '{{ pair[0] }}', date '{{ pair[1] }}', {{ pair[2] }}){{ ',' if not loop.last }}
    {%- else %}
    (cast(null as date), cast(null as date), false)
    {%- endfor %}
{%- endmacro %}

{#
    Pairs of days whose values are compared: of days_to_compare the newest weeks, as many as a median needs. Values are
    read from the rows themselves, so each further week costs as much as the new day.
#}
{% macro values_to_compare(feed) %}
    {%- set newest = [] -%}
    {%- for day, pairs in days_to_compare(feed) | groupby(0) if pairs | length >= var('compared_weeks_min') -%}
        {%- do newest.extend(pairs[-var('compared_weeks_min'):]) -%}
    {%- endfor -%}
    {%- do return(newest) -%}
{% endmacro %}

{#
    Live extracts that new loads touched, each with the live extract before it: a list as that of days_to_compare. Only
    those that come var history_min_days or more after the first extract of history, since a first load is never judged
    and a young company grows; and none of var excepted_days.
#}
{% macro extracts_to_compare(feed) %}
    {%- if not execute -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        with extracts as ({{ extract_dates(feed) }}),
        history as ({{ history_days(feed) }}),
        fresh as ({{ fresh_days(feed) }}),
        pairs as (
            select extract_date, lag(extract_date) over (order by extract_date) as earlier_date from extracts
        )
        select extract_date, earlier_date, false as is_replaced from pairs
        where
            earlier_date is not null
            and extract_date in (select event_date from fresh)
            and extract_date - (select min(event_date) from history) >= {{ var('history_min_days') }}
            and extract_date not in ({{ excepted_days(feed) }})
        order by extract_date
    {%- endset -%}
    {%- do return(run_query(query).rows | list) -%}
{% endmacro %}
