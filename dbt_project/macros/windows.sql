{#
    Reading int_engagement__user_windows: the days of a month and of the 31 days before it as the bits of one integer.
    A track (all activity, one product, one country) is an integer: 0, the least slice of the product, or that of the
    country with a minus sign; slices only grow, so these stay.
#}
{% macro first_day_bit() %}{% do return(31) %}{% endmacro %}

{# Tracks by name: track_key, product, country. #}
{% macro track_names() %}
    select
        0 as track_key,
        'all' as product,
        'all' as country
    union all
    select
        min(slice_key) as track_key,
        product,
        'all' as country
    from {{ ref('int_engagement__slices') }}
    group by product
    union all
    select
        -min(slice_key) as track_key,
        'all' as product,
        country
    from {{ ref('int_engagement__slices') }}
    group by country
{% endmacro %}

{#
    Months of the span and the one after, in which a week or a window may end: month_start, next_start, day_count,
    previous_day_count and sunday_place, the days before the month's first Sunday.
#}
{% macro window_months() %}
    select
        month_start,
        {{ months_later('month_start', 1) }} as next_start,
        {{ months_later('month_start', 1) }} - month_start as day_count,
        month_start - {{ months_later('month_start', -1) }} as previous_day_count,
        7 - cast({{ iso_weekday('month_start') }} as integer) as sunday_place
    from (
        select period_start as month_start from {{ ref('int_engagement__periods') }}
        where period_type = 'month'
        union
        select next_start as month_start from {{ ref('int_engagement__periods') }}
        where period_type = 'month'
    ) as months
{% endmacro %}

{#
    Months whose rows hold the days, weeks and months of some days: that of each day and of the Sunday of its week, each
    moved by every number of steps: the inside of `in (…)`.
#}
{% macro window_months_of(days, steps=[0]) -%}
    {%- set ends = [] -%}
    {%- for day in days -%}{%- do ends.extend([day, shifted_period('day', day, 6 - day.weekday())]) -%}{%- endfor -%}
    {{ periods_of('month', ends, steps) }}
{%- endmacro %}

{# Users of rows whose bits hold one of a mask, and of those that also hold one of another; a mask is a number. #}
{% macro users_with(bits, mask) -%}
    count(*) filter (where {{ bits }} & {{ mask }} > 0)
{%- endmacro %}
{% macro users_with_both(bits, mask, other) -%}
    count(*) filter (where {{ bits }} & {{ mask }} > 0 and {{ bits }} & {{ other }} > 0)
{%- endmacro %}

{#
    The periods of a month as rows, from its columns: a lateral subquery `period_counts` of period_type, period_start
    and `columns`, which has the days of the month, the weeks that end in it, and itself. `figures` gives the values of a
    type of period, `#` standing for the number of the day or week in the month (from 1), `#-1` for the one before.
#}
{% macro periods_of_months(calendar, columns, figures) %}
    lateral (
        select
            period_type,
            period_start,
            {{ columns | join(', ') }}
        from (
            values
            {%- for type, count in [('day', 31), ('week', 5), ('month', 1)] if type in figures %}
            {%- for number in range(1, count + 1) %}
            {%- set end = calendar ~ ('.month_start + ' ~ (number - 1) if type == 'day' else
                '.month_start + ' ~ calendar ~ '.sunday_place + ' ~ 7 * (number - 1) if type == 'week' else '.month_start') %}
            ('{{ type }}', {{ end ~ (' - 6' if type == 'week' else '') }}, {{ end }}
                {%- for figure in figures[type] %}, {{ figure | replace('#-1', number - 1) | replace('#', number) }}{% endfor %})
                {{- ',' if not loop.last }}
            {%- endfor %}{{ ',' if not loop.last }}
            {%- endfor %}
        ) as periods (period_type, period_start, end_date, {{ columns | join(', ') }})
        where end_date < {{ calendar }}.next_start
    ) as period_counts
{% endmacro %}

{#
    How the bits of days become those of the days whose N-day window holds one: windows of a length, the longer length
    that comes of them, and by how many days they are moved for that.
#}
{% macro window_steps() %}{% do return([(1, 7, [1, 2, 3, 4, 5, 6]), (7, 28, [7, 14, 21]), (28, 30, [2])]) %}{% endmacro %}

{# The same as SQL: bits of windows of the shorter length, moved by each number of days, put together. #}
{% macro spread(bits, shifts) -%}
    {{ bits }}{% for shift in shifts %} | ({{ bits }} << {{ shift }}){% endfor %}
{%- endmacro %}

{# Ends a query whose columns are read many times: without it Postgres would compute them at each place. #}
{% macro computed_once() %}offset 0{% endmacro %}

{#
    Rows of a relation with track_key, only_product_key and only_country_key, once for each track they count in: with
    `columns`, and track_key. A row with one product is that product's, too.
#}
{% macro rows_of_tracks(relation, columns) %}
    {%- for key in ['track_key', 'only_product_key', 'only_country_key'] %}
    select
        {{ columns }},
        {{ key ~ ' as track_key' if key != 'track_key' else key }}
    from {{ relation }}
    {{ 'where ' ~ key ~ ' is not null' if key != 'track_key' }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endmacro %}

{# rebuild_user_windows: the changed users' rows of the months that changed days reach are built anew. #}
{% macro get_incremental_rebuild_user_windows_sql(arguments) %}
    delete from {{ arguments['target_relation'] }}
    where
        month_start in ({{ periods_of('month', pending_days(event_feeds()), [0, 1, 2]) }})
        and user_key in ({{ rebuilt_user_keys(arguments) }});
    {{ insert_rows(arguments) }}
{% endmacro %}
