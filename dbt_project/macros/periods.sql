{#
    Days, ISO weeks and months in one way, so that a model states its metric once for all three. A period is named by
    its type and its first day.
#}
{% macro period_types() %}{% do return(['day', 'week', 'month']) %}{% endmacro %}

{# First day of the period that a day lies in, of the period after, and of the one before a period; SQL. #}
{% macro period_start(period_type, day) -%}
    {{ day if period_type == 'day' else week_start(day) if period_type == 'week' else month_start(day) }}
{%- endmacro %}
{% macro next_period(period_type, start) -%}
    {{ start ~ ' + 1' if period_type == 'day' else start ~ ' + 7' if period_type == 'week' else months_later(start, 1) }}
{%- endmacro %}
{% macro previous_period(period_type, start) -%}
    {{ start ~ ' - 1' if period_type == 'day' else start ~ ' - 7' if period_type == 'week' else months_later(start, -1) }}
{%- endmacro %}

{# First day of the period after that of a row, and of the one before it; the row has period_type and period_start. #}
{% macro next_period_of_row() -%}
    case period_type
        {%- for type in period_types() %} when '{{ type }}' then {{ next_period(type, 'period_start') }}{% endfor %} end
{%- endmacro %}
{% macro previous_period_of_row() -%}
    case period_type
        {%- for type in period_types() %} when '{{ type }}' then {{ previous_period(type, 'period_start') }}{% endfor %} end
{%- endmacro %}

{#
    First day of the period of a day, some periods on, while dbt renders: a date. Beyond the years 1 to 9999, in which all
    days lie, it is the last of their months or days.
#}
{% macro shifted_period(period_type, day, steps) -%}
    {%- if period_type == 'month' -%}
        {%- set months = between(12, day.year * 12 + day.month - 1 + steps, 9999 * 12 + 11) -%}
        {%- do return(day.replace(year=months // 12, month=months % 12 + 1, day=1)) -%}
    {%- endif -%}
    {%- set days = 7 * steps - day.weekday() if period_type == 'week' else steps -%}
    {%- do return(day.fromordinal(between(1, day.toordinal() + days, day.max.toordinal()))) -%}
{%- endmacro %}
{% macro between(least, number, greatest) %}{% do return(([least, number, greatest] | sort)[1]) %}{% endmacro %}

{# The periods of a list of days, each moved by every number of steps: the inside of `in (…)`, never empty. #}
{% macro periods_of(period_type, days, steps=[0]) -%}
    {%- set starts = [] -%}
    {%- for day in days -%}
        {%- for step in steps -%}{%- do starts.append(shifted_period(period_type, day, step)) -%}{%- endfor -%}
    {%- endfor -%}
    {{ date_list(starts) }}
{%- endmacro %}

{# Whether a row's period, of any type, is one of those. #}
{% macro in_periods_of(days, steps=[0]) -%}
    (
    {%- for type in period_types() -%}
        (period_type = '{{ type }}' and period_start in ({{ periods_of(type, days, steps) }})){{ ' or ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{# Dates as literals: the inside of `in (…)`, never empty. #}
{% macro date_list(days) -%}
    {%- for day in days | unique | sort -%}
        date '{{ day }}'{{ ', ' if not loop.last }}
    {%- else -%}
        cast(null as date)
    {%- endfor -%}
{%- endmacro %}

{# Whether a day lies in one of the periods of those days, as ranges of literals. #}
{% macro in_period_days(period_type, days, column) -%}
    {%- set starts = [] -%}
    {%- for day in days -%}{%- do starts.append(shifted_period(period_type, day, 0)) -%}{%- endfor -%}
    (
    {%- for start in starts | unique | sort -%}
        ({{ column }} >= date '{{ start }}' and {{ column }} < {{ next_period(period_type, "date '" ~ start ~ "'") }})
        {{- ' or ' if not loop.last }}
    {%- else -%}
        false
    {%- endfor -%}
    )
{%- endmacro %}

{# The days in a column of a model, as event_date; of a model that no run has built yet none, instead of an error. #}
{% macro days_of(model, column) -%}
    {%- set is_there = not execute or model.is_cte or load_cached_relation(model) is not none -%}
    select {{ column ~ ' as event_date from ' ~ model if is_there else 'cast(null as date) as event_date' }}
{%- endmacro %}
