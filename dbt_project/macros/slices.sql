{#
    The slices that active users are counted in: all of it, one of country, platform and category, or country and
    category; each for all products and for each.
#}
{% macro slice_kinds() %}
    {%- set kinds = [] -%}
    {%- for kind in [[], ['country'], ['platform'], ['category'], ['country', 'category']] -%}
        {%- do kinds.extend([kind, ['product'] + kind]) -%}
    {%- endfor -%}
    {%- do return(kinds) -%}
{% endmacro %}

{# Grouping sets, one a kind of slice; and their columns, `all` where a set lacks one. #}
{% macro slice_sets() -%}
    grouping sets (
    {%- for kind in slice_kinds() -%}
        ({{ (['period_type', 'period_start'] + kind) | join(', ') }}){{ ', ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}
{% macro slice_columns() -%}
    {%- for column in ['product', 'country', 'platform', 'category'] -%}
        coalesce({{ column }}, 'all') as {{ column }}{{ ', ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Distinct users of each slice, from rows of users and slices. A kind at a time: distinct by hashing, without a sort. #}
{% macro users_by_slice(relation) %}
    {%- for kind in slice_kinds() %}
    {%- set keys = (['period_type', 'period_start'] + kind) | join(', ') %}
    select
        period_type,
        period_start,
        {%- for column in ['product', 'country', 'platform', 'category'] %}
        {{ column if column in kind else "'all' as " ~ column }},
        {%- endfor %}
        count(*) as user_count,
        0 as event_count
    from (select {{ keys }}, user_key from {{ relation }} group by {{ keys }}, user_key) as users
    group by {{ keys }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
{% endmacro %}
