{#
    The same figure of two relations agrees in every group: an identity between marts. A group that one of them lacks
    counts as 0.
#}
{% test groups_equal(model, group_by, expression, to, to_group_by, to_expression, where='true', to_where='true') %}
{{ config(tags=['critical']) }}
with figures as (
    select {{ group_by }} as group_value, {{ expression }} as here, 0 as there from {{ model }}
    where {{ where }} group by {{ group_by }}
    union all
    select {{ to_group_by }} as group_value, 0 as here, {{ to_expression }} as there from {{ to }}
    where {{ to_where }} group by {{ to_group_by }}
)
select group_value, sum(here) as total, sum(there) as expected_total from figures
group by group_value
having sum(here) <> sum(there)
{% endtest %}
