{#
    The rows of a new day are within bounds of the median of the same weekday in the weeks before it: far outside,
    half an export or one delivered twice under two spellings. Only days with enough history (macros/gates.sql).
#}
{% test volume_holds(model, feed, event_time) %}
{{ config(tags=['critical']) }}
{{ volume_outside(model, feed, event_time, var('volume_min_rate'), var('volume_max_rate')) }}
{% endtest %}
