{# Every row has a value. With feed and event_time (a column), only rows of days that new loads touched are read. #}
{% test not_null(model, column_name, feed=none, event_time=none) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where {{ column_name }} is null and {{ on_touched_days(feed, event_time) }}
{% endtest %}
