{# An expression over the model equals one over another relation: nothing was lost or doubled on the way. #}
{% test sums_equal(model, expression, to, to_expression) %}
{{ config(tags=['critical']) }}
with here as (select {{ expression }} as total from {{ model }}),
there as (select {{ to_expression }} as total from {{ to }})
select here.total, there.total as expected_total from here cross join there
where coalesce(here.total, 0) <> coalesce(there.total, 0)
{% endtest %}
