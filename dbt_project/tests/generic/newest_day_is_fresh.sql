{# The feed's newest event is not more days old, by the clock, than its contract allows. In no gate. #}
{% test newest_day_is_fresh(model, feed, warn_after_days) %}
{{ config(tags=['freshness'], severity='warn') }}
select '{{ feed }}' as feed, max(event_date) as newest_date from raw._changed_days
where feed = '{{ feed }}'
having max(event_date) < {{ utc_date('now()') }} - {{ warn_after_days }}
{% endtest %}
