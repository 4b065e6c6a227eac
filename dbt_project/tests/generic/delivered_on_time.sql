{# The last file that was loaded did not come longer ago, by the clock, than the feed's cadence allows. In no gate. #}
{% test delivered_on_time(model, feed, within_hours) %}
{{ config(tags=['freshness'], severity='warn') }}
select '{{ feed }}' as feed, max(finished_at) as last_load_at from raw._loads
where feed = '{{ feed }}' and status in ('loaded', 'replaced', 'unloaded')
having max(finished_at) < now() - {{ within_hours }} * interval '1 hour'
{% endtest %}
