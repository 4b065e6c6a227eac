{#
    The feed's newest event is not more days old, by the clock, than its contract allows. In no gate. A day that lay ahead
    when its file was loaded is none, as for the gates.
#}
{% test newest_day_is_fresh(model, feed, warn_after_days) %}
{{ config(tags=['freshness'], severity='warn') }}
select '{{ feed }}' as feed, max(days.event_date) as newest_date
from raw._changed_days as days
inner join raw._loads as loads on days.load_id = loads.load_id
where
    days.feed = '{{ feed }}'
    and days.event_date <= {{ utc_date('loads.finished_at') }} + {{ var('future_days') }}
having max(days.event_date) < {{ utc_date('now()') }} - {{ warn_after_days }}
{% endtest %}
