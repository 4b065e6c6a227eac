{#
    Every row has a value in the column, or in each of columns. With feed and event_time (a column), only rows of days
    that new loads touched are read.
#}
{% test not_null(model, column_name=none, columns=[], feed=none, event_time=none) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where ({{ (columns or [column_name]) | join(' is null or ') }} is null) and {{ on_touched_days(feed, event_time) }}
{% endtest %}
