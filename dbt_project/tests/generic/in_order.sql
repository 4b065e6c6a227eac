{# Each column is at most the next one; a null is left out of the comparison with its neighbours. #}
{% test in_order(model, columns) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where false
    {%- for column in columns[:-1] %} or {{ column }} > {{ columns[loop.index] }}{% endfor %}
{% endtest %}
