{# Of the records of a new load, at most a share of var reject_usual_max_rate went to the quarantine. #}
{% test few_rejects(model, feed) %}
{{ config(tags=['warning'], severity='warn') }}
select load_id, source_file, record_count, rejected_count from raw._loads
where
    load_id in ({{ load_list(new_loads(feed)) }}) and status = 'loaded'
    and rejected_count > {{ var('reject_usual_max_rate') }} * record_count
{% endtest %}
