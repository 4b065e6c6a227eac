{# Every row meets the condition; a row for which it is null fails too. #}
{% test rows_hold(model, condition) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where not coalesce({{ condition }}, false)
{% endtest %}
