{# No two rows agree in all of the columns; nulls count as equal. #}
{% test unique_together(model, columns) %}
{{ config(tags=['critical']) }}
select {{ columns | join(', ') }}, count(*) as row_count from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
