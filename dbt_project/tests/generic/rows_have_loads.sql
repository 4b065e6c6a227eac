{# Every row, on the days that new loads touched, belongs to a load whose rows are in raw by the ledger. #}
{% test rows_have_loads(model, feed, event_time) %}
{{ config(tags=['critical']) }}
select source.* from {{ model }} as source
where
    {{ on_touched_days(feed, 'source.' ~ event_time) }}
    and not exists (
        select 1 from raw._loads as loads
        where loads.load_id = source._load_id and loads.feed = '{{ feed }}' and loads.status in ('loaded', 'replayed')
    )
{% endtest %}
