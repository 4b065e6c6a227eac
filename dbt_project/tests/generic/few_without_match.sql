{#
    Of the rows, at most a share of var unmatched_max_rate has no match in another relation: reported, not stopped. An
    empty relation, that of a feed that never came, is nothing to compare with.
#}
{% test few_without_match(model, column_name, to, field) %}
{{ config(tags=['warning'], severity='warn') }}
with matches as (
    select
        child.{{ column_name }},
        not exists (select 1 from {{ to }} as parent where parent.{{ field }} = child.{{ column_name }}) as is_alone
    from {{ model }} as child
)
select count(*) as row_count, count(*) filter (where is_alone) as unmatched_count from matches
having exists (select 1 from {{ to }}) and count(*) filter (where is_alone) > {{ var('unmatched_max_rate') }} * count(*)
{% endtest %}
