{# Of each type of period, no day, week or month is missing between the first and the last row. #}
{% test periods_are_complete(model, by, where='true') %}
{{ config(tags=['critical']) }}
with periods as (
    select
        {{ by | join(', ') }}, period_start,
        lead(period_start) over (partition by {{ by | join(', ') }} order by period_start) as later_start
    from {{ model }} where {{ where }}
)
select * from periods
where later_start is not null and later_start is distinct from {{ next_period_of_row() }}
{% endtest %}
