{#
    No value lies below `min` or above `max`, as far as they are given; null is none, and NaN and infinity lie in no
    range. With feed and event_time, only days that new loads touched are read.
#}
{% test within_range(model, column_name, min=none, max=none, feed=none, event_time=none) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where
    {{ on_touched_days(feed, event_time) }}
    and (
        cast({{ column_name }} as numeric) in ('NaN', 'Infinity', '-Infinity')
        {%- if min is not none %} or {{ column_name }} < {{ min }}{% endif %}
        {%- if max is not none %} or {{ column_name }} > {{ max }}{% endif %}
    )
{% endtest %}
