{# As volume_holds, with narrower bounds: worth a look, no reason to stop. #}
{% test volume_is_usual(model, feed, event_time) %}
{{ config(tags=['warning'], severity='warn') }}
{{ volume_outside(model, feed, event_time, var('volume_usual_min_rate'), var('volume_usual_max_rate')) }}
{% endtest %}
