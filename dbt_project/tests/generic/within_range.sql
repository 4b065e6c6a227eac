{# No value lies below `min` or above `max`, as far as they are given; null is none. #}
{% test within_range(model, column_name, min=none, max=none) %}
{{ config(tags=['critical']) }}
select * from {{ model }}
where false
    {%- if min is not none %} or {{ column_name }} < {{ min }}{% endif %}
    {%- if max is not none %} or {{ column_name }} > {{ max }}{% endif %}
{% endtest %}
