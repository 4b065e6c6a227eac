{# Of the rows on days that new loads touched, at most a share of var duplicate_max_rate repeats another row's key. #}
{% test few_duplicates(model, feed, event_time, columns) %}
{{ config(tags=['warning'], severity='warn') }}
with keys as (
    select {{ columns | join(', ') }}, count(*) as copies from {{ model }}
    where {{ on_touched_days(feed, event_time) }}
    group by {{ columns | join(', ') }}
)
select sum(copies) as row_count, sum(copies - 1) as duplicate_count from keys
having sum(copies - 1) > {{ var('duplicate_max_rate') }} * sum(copies)
{% endtest %}
