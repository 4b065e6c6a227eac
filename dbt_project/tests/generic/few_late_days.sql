{#
    No new load touches a day more than var late_days before the newest day of history: a wrong date, or old data. A file
    that is replaced touches the days that it had, and what is taken out brings none.
#}
{% test few_late_days(model, feed) %}
{{ config(tags=['warning'], severity='warn') }}
with history as ({{ history_days(feed) }})
select load_id, event_date from raw._changed_days
where
    feed = '{{ feed }}' and load_id in ({{ load_list(new_loads(feed)) }})
    and load_id in (select loads.load_id from raw._loads as loads where loads.status in ('loaded', 'replayed'))
    and (select count(*) from history) >= {{ var('history_min_days') }}
    and event_date < (select max(history.event_date) from history) - {{ var('late_days') }}
    and event_date not in ({{ replaced_days(feed) }})
{% endtest %}
