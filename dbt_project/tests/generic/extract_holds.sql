{#
    A new extract of a whole table has about as many keys (columns) as the live extract before it: half an export would end
    half of all subscriptions at once. Several files of one date count as one. Only extracts that have history before them
    (macro extracts_to_compare).
#}
{% test extract_holds(model, columns, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set keys = 'count(distinct (' ~ columns | join(', ') ~ '))' %}
{%- set figures = [('keys', keys, keys)] %}
select event_date as extract_date, value_count as key_count, expected_count
from ({{ figures_compared(model, event_time, extracts_to_compare(feed), figures) }}) as figures
where
    expected_count >= {{ var('volume_min_rows') }}
    and (
        value_count < {{ var('volume_min_rate') }} * expected_count
        or value_count > {{ var('volume_max_rate') }} * expected_count
    )
{% endtest %}
