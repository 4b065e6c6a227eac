{#
    The slices that active users are counted in: all of it, one of country, platform and category, or country and
    category; each for all products and for each.
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
