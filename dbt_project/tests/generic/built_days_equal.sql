{#
    An expression over a model equals one over the relation it is built from, on each of the days that were rebuilt
    lately (macro built_days), so that history is read by neither.
#}
{% test built_days_equal(model, feeds, day_column, expression, to, to_day_column, to_expression) %}
{{ config(tags=['critical']) }}
{%- set days = built_days(feeds, model.identifier) %}
with here as (
    select {{ day_column }} as event_date, {{ expression }} as total from {{ model }}
    where {{ day_column }} in ({{ date_list(days) }}) group by {{ day_column }}
),
there as (
    select {{ to_day_column }} as event_date, {{ to_expression }} as total from {{ to }}
    where {{ to_day_column }} in ({{ date_list(days) }}) group by {{ to_day_column }}
)
select
    coalesce(here.event_date, there.event_date) as event_date,
    coalesce(here.total, 0) as total,
    coalesce(there.total, 0) as expected_total
from here
full outer join there on here.event_date = there.event_date
where coalesce(here.total, 0) <> coalesce(there.total, 0)
{% endtest %}
