{# Every value stands in the column `field` of another relation; null refers to nothing. #}
{% test relationships(model, column_name, to, field) %}
{{ config(tags=['critical']) }}
select child.* from {{ model }} as child
where
    child.{{ column_name }} is not null
    and not exists (select 1 from {{ to }} as parent where parent.{{ field }} = child.{{ column_name }})
{% endtest %}
