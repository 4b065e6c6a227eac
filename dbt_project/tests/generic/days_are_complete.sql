{# A calendar has every day from its first to its last. #}
{% test days_are_complete(model, column_name) %}
{{ config(tags=['critical']) }}
select * from (
    select
        {{ column_name }} as day,
        lead({{ column_name }}) over (order by {{ column_name }}) as next_day
    from {{ model }}
) as days
where next_day - day > 1
{% endtest %}
