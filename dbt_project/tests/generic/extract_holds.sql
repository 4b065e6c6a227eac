{#
    A new extract of a whole table has about as many rows as the live extract before it: half an export would end half of
    all subscriptions at once. Only extracts that have history before them (macro extracts_to_compare).
#}
{% test extract_holds(model, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set figures = [('rows', 'count(*)', 'count(*)')] %}
select event_date as extract_date, row_count, expected_count
from ({{ figures_compared(model, event_time, extracts_to_compare(feed), figures) }}) as figures
where
    expected_count >= {{ var('volume_min_rows') }}
    and (
        row_count < {{ var('volume_min_rate') }} * expected_count
        or row_count > {{ var('volume_max_rate') }} * expected_count
    )
{% endtest %}
