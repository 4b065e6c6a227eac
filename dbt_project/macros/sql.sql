{# The SQL that Postgres and Spark say differently; models stay portable by calling these. #}

{# The UTC calendar day of an instant. #}
{% macro utc_date(instant) %}{{ adapter.dispatch('utc_date')(instant) }}{% endmacro %}
{% macro default__utc_date(instant) %}cast({{ instant }} at time zone 'UTC' as date){% endmacro %}

{# The first day of a date's calendar month. #}
{% macro month_start(day) %}cast(date_trunc('month', cast({{ day }} as timestamp)) as date){% endmacro %}

{# Text without surrounding white space; blank is null. #}
{% macro clean_text(column) %}{{ adapter.dispatch('clean_text')(column) }}{% endmacro %}
{% macro default__clean_text(column) %}nullif(trim(both e' \t\r\n\f\x0b' from {{ column }}), ''){% endmacro %}

{# The same of a column that is sliced by. `all` is the name of the total, so a value that is called so gets another one. #}
{% macro slice_text(column) -%}
    {{ renamed(column, clean_text(column), 'all') }}
{%- endmacro %}

{# A medium: clean text in upper case, and none is called as what no rule matched. #}
{% macro channel_text(column) -%}
    {{ renamed('upper(' ~ column ~ ')', 'upper(' ~ clean_text(column) ~ ')', 'UNATTRIBUTED') }}
{%- endmacro %}

{#
    A text, in brackets where it is a name that is taken. Almost none is, and a look at the column as it is costs less than
    trimming it twice.
#}
{% macro renamed(column, text, taken) -%}
    case when {{ column }} like '%{{ taken }}%' and {{ text }} = '{{ taken }}' then '({{ taken }})' else {{ text }} end
{%- endmacro %}

{# Whole microseconds from one instant to another: integers, so that sums do not depend on their order. #}
{% macro microseconds_between(start, end) %}{{ adapter.dispatch('microseconds_between')(start, end) }}{% endmacro %}
{% macro default__microseconds_between(start, end) -%}
    cast(extract(epoch from ({{ end }} - {{ start }})) * 1000000 as bigint)
{%- endmacro %}

{# The instant that lies whole microseconds before another. #}
{% macro microseconds_before(instant, microseconds) %}{{ adapter.dispatch('microseconds_before')(instant, microseconds) }}{% endmacro %}
{% macro default__microseconds_before(instant, microseconds) -%}
    {{ instant }} - {{ microseconds }} * interval '1 microsecond'
{%- endmacro %}

{# Hours, rounded to ten places (below a microsecond), from microseconds. #}
{% macro hours(microseconds) %}round(cast({{ microseconds }} as numeric) / 3600000000, 10){% endmacro %}

{#
    A hashed key that is never null: each part is its length and text, or `n` where it is null, so that
    no two different lists of parts meet. Instants go in as UTC text, whatever the session's time zone.
#}
{% macro surrogate_key(parts) %}{{ adapter.dispatch('surrogate_key')(parts) }}{% endmacro %}
{% macro default__surrogate_key(parts) -%}
    cast(md5(
        {%- for part in parts %}
        coalesce(length(cast({{ part }} as text)) || ':' || cast({{ part }} as text), 'n')
        {%- if not loop.last %} || '|' ||{% endif %}
        {%- endfor %}
    ) as uuid)
{%- endmacro %}

{# An instant as text in UTC, to the microsecond, for keys. #}
{% macro utc_text(instant) %}{{ adapter.dispatch('utc_text')(instant) }}{% endmacro %}
{% macro default__utc_text(instant) %}to_char({{ instant }} at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'){% endmacro %}

{# An instant, or null where it is infinite: a series to or from there would never end. #}
{% macro finite(instant) -%}
    nullif(nullif(cast({{ instant }} as timestamp), timestamp 'infinity'), timestamp '-infinity')
{%- endmacro %}

{# Every day from one to another, both included, as rows of `column`; none where a bound is null or infinite. #}
{% macro date_spine(first_day, last_day, column) %}{{ adapter.dispatch('date_spine')(first_day, last_day, column) }}{% endmacro %}
{% macro default__date_spine(first_day, last_day, column) -%}
    cast(generate_series({{ finite(first_day) }}, {{ finite(last_day) }}, interval '1 day') as date) as {{ column }}
{%- endmacro %}

{# Parts of the ISO calendar: weeks start on Monday, and a week belongs to the year of its Thursday. #}
{% macro week_start(day) %}cast(date_trunc('week', cast({{ day }} as timestamp)) as date){% endmacro %}
{% macro iso_year(day) %}{{ adapter.dispatch('iso_year')(day) }}{% endmacro %}
{% macro default__iso_year(day) %}extract(isoyear from {{ day }}){% endmacro %}
{% macro iso_week(day) %}{{ adapter.dispatch('iso_week')(day) }}{% endmacro %}
{% macro default__iso_week(day) %}extract(week from {{ day }}){% endmacro %}
{% macro iso_weekday(day) %}{{ adapter.dispatch('iso_weekday')(day) }}{% endmacro %}
{% macro default__iso_weekday(day) %}extract(isodow from {{ day }}){% endmacro %}

{# Text ordered by its bytes, the same on every machine. #}
{% macro byte_order(column) %}{{ adapter.dispatch('byte_order')(column) }}{% endmacro %}
{% macro default__byte_order(column) %}{{ column }} collate "C"{% endmacro %}

{# A date some calendar months on; the day of the month is 1. #}
{% macro months_later(day, months) -%}
    cast(cast({{ day }} as timestamp) + {{ months }} * interval '1' month as date)
{%- endmacro %}

{# The instant at which a UTC day begins. #}
{% macro utc_midnight(day) %}{{ adapter.dispatch('utc_midnight')(day) }}{% endmacro %}
{% macro default__utc_midnight(day) %}cast({{ day }} as timestamp) at time zone 'UTC'{% endmacro %}

{# Sets of up to 32 days as the bits of an integer: that of one day, counted from 0, and how many a set has. #}
{% macro day_bit(place) %}{{ adapter.dispatch('day_bit')(place) }}{% endmacro %}
{% macro default__day_bit(place) %}cast(1 as integer) << ({{ place }}){% endmacro %}
{% macro day_count(bits) %}{{ adapter.dispatch('day_count')(bits) }}{% endmacro %}
{% macro default__day_count(bits) %}cast(bit_count(cast({{ bits }} as bit(32))) as integer){% endmacro %}

{# The sum of a column that is null in most groups: these then need no state, which for numeric is larger than a row. #}
{% macro sum_where_any(column) %}sum({{ column }}) filter (where {{ column }} is not null){% endmacro %}

{# A number without zeros at its end: equal ones are the same text, whichever file a copy comes from. #}
{% macro plain_number(column) %}{{ adapter.dispatch('plain_number')(column) }}{% endmacro %}
{% macro default__plain_number(column) %}trim_scale({{ column }}){% endmacro %}

{#
    The first day of every month from that of one day to that of another; none where a day is null or infinite, or they
    are turned.
#}
{% macro month_spine(first_day, last_day, column) %}{{ adapter.dispatch('month_spine')(first_day, last_day, column) }}{% endmacro %}
{% macro default__month_spine(first_day, last_day, column) -%}
    cast(
        generate_series(
            date_trunc('month', {{ finite(first_day) }}),
            date_trunc('month', {{ finite(last_day) }}),
            interval '1 month'
        ) as date
    ) as {{ column }}
{%- endmacro %}

{#
    Bits moved up by some places, down where that is negative, as far as they then lie in the 30 lowest. What a month's
    days are, counted from another day.
#}
{% macro shifted_bits(bits, places) %}{{ adapter.dispatch('shifted_bits')(bits, places) }}{% endmacro %}
{% macro default__shifted_bits(bits, places) -%}
    ((cast({{ bits }} as bigint) << greatest({{ places }}, 0)) >> greatest(-({{ places }}), 0)) & 1073741823
{%- endmacro %}
