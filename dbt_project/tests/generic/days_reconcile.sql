{#
    A model of the dwh has as many rows on each day as the relation it is built from (or the relations, `feed` and `to`
    are lists then); only days that were rebuilt lately (macro built_days), so that history is read by neither.
#}
{% test days_reconcile(model, feed, day_column, to, instant) %}
{{ config(tags=['critical']) }}
{%- set days = built_days([feed] if feed is string else feed, model.identifier) %}
{%- set sources = [to] if to is not sequence or to is string else to %}
with here as (
    select {{ day_column }} as event_date, count(*) as row_count from {{ model }}
    where {{ on_days(day_column, days) }}
    group by {{ day_column }}
),
there as (
    select event_date, count(*) as row_count
    from (
        {%- for source in sources %}
        select {{ utc_date(instant) }} as event_date from {{ source }} where {{ on_days(instant, days) }}
        {{ 'union all' if not loop.last }}
        {%- endfor %}
    ) as events
    group by event_date
)
select
    coalesce(here.event_date, there.event_date) as event_date,
    coalesce(here.row_count, 0) as row_count,
    coalesce(there.row_count, 0) as expected_count
from here
full outer join there on here.event_date = there.event_date
where coalesce(here.row_count, 0) <> coalesce(there.row_count, 0)
{% endtest %}
