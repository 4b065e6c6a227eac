{#
    The slices that active users are counted in: all of it, one of country, platform and category, or country and
    category; each for all products and for each. A kind has two columns at most, and its last one is a kind of its own: of
    that active_periods takes the users who have one of the first.
#}
{% macro slice_kinds() %}{% do return([[], ['country'], ['platform'], ['category'], ['country', 'category']]) %}{% endmacro %}

{# Grouping sets, one a kind of slice; and their columns, `all` where a set lacks one. #}
{% macro slice_sets() -%}
    grouping sets (
    {%- for kind in slice_kinds() -%}
        {%- for product in [[], ['product']] -%}
            ({{ (['period_type', 'period_start'] + product + kind) | join(', ') }}){{ ', ' if not loop.last }}
        {%- endfor -%}
        {{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}
{% macro sliced_columns() -%}
    {%- for column in ['product', 'country', 'platform', 'category'] -%}
        coalesce({{ column }}, 'all') as {{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Keys of the columns of a slice by name; slices with them: the least slice that has the column's value. #}
{% macro slice_keys(columns=['product', 'country', 'platform', 'category']) -%}
    {%- set keys = [] -%}
    {%- for column in columns -%}{%- do keys.append(column ~ '_key') -%}{%- endfor -%}
    {%- do return(keys) -%}
{%- endmacro %}
{% macro slices_by_key() %}
    select
        *,
        {%- for column in ['product', 'country', 'platform', 'category'] %}
        min(slice_key) over (partition by {{ column }}) as {{ column }}_key{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_engagement__slices') }}
{% endmacro %}

{# A user's key of a column, null for one who has several: the table has the least and the greatest. #}
{% macro only_key(table, column) -%}
    case when {{ table }}.least_{{ column }}_key = {{ table }}.greatest_{{ column }}_key
        then {{ table }}.least_{{ column }}_key end
{%- endmacro %}

{#
    The keys of those columns, null for the others; of the columns `ones`, that of a user who has one. Whole sums under
    their own names.
#}
{% macro keys_or_null(columns, ones=[]) -%}
    {%- for key in slice_keys() -%}
        {%- if key in slice_keys(columns) -%}{{ key }}
        {%- elif key in slice_keys(ones) -%}only_{{ key }} as {{ key }}
        {%- else -%}cast(null as integer) as {{ key }}
        {%- endif -%}
        {{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}
{% macro sums_of(figures) -%}
    {%- for figure in figures -%}cast(sum({{ figure }}) as bigint) as {{ figure }}{{ ', ' if not loop.last }}{%- endfor -%}
{%- endmacro %}
