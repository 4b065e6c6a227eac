{# Every value is one of a list; null is none. With feed and event_time, only days that new loads touched are read. #}
{% test accepted_values(model, column_name, values, feed=none, event_time=none) %}
{{ config(tags=['critical']) }}
select {{ column_name }} as value_field, count(*) as n_records from {{ model }}
where
    {{ column_name }} not in (
        {%- for value in values %}'{{ value | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor -%}
    )
    and {{ on_touched_days(feed, event_time) }}
group by {{ column_name }}
{% endtest %}
