{# The shares of each group add up to 1; the tolerance is for rounding of the division, 20 digits a row. #}
{% test shares_sum_to_one(model, column_name, group_by) %}
{{ config(tags=['critical']) }}
select {{ group_by | join(', ') }}, sum({{ column_name }}) as total from {{ model }}
group by {{ group_by | join(', ') }}
having abs(sum({{ column_name }}) - 1) > {{ var('rate_tolerance') }}
{% endtest %}
