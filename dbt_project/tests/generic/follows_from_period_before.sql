{#
    An expression of each period equals a column of the period before it, 0 where that has no row: those who were active
    then are retained or churned now.
#}
{% test follows_from_period_before(model, by, expression, before) %}
{{ config(tags=['critical']) }}
with periods as (
    select
        {{ by | join(', ') }}, period_start, {{ expression }} as figure,
        {{ previous_period_of_row() }} as earlier_start
    from {{ model }}
)
select periods.*, earlier.{{ before }} as expected_figure from periods
left join {{ model }} as earlier
    on periods.earlier_start = earlier.period_start
    {%- for column in by %} and periods.{{ column }} = earlier.{{ column }}{% endfor %}
where periods.figure <> coalesce(earlier.{{ before }}, 0)
{% endtest %}
