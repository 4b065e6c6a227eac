{#
    No value was first seen (first_seen and last_seen are dates) on the newest days, var new_category_days, of a history that
    is long enough: a new channel, or an old one misspelled.
#}
{% test no_new_category(model, column_name, first_seen, last_seen) %}
{{ config(tags=['warning'], severity='warn') }}
with bounds as (select min({{ first_seen }}) as first_date, max({{ last_seen }}) as newest_date from {{ model }})
select model.{{ column_name }}, model.{{ first_seen }} from {{ model }} as model
cross join bounds
where
    model.{{ first_seen }} > bounds.newest_date - {{ var('new_category_days') }}
    and bounds.newest_date - bounds.first_date >= {{ var('history_min_days') }}
{% endtest %}
