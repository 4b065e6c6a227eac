{#
    The figure of `all` in every slice column is at least that of each slice of the same group: a slice never has more
    than the whole.
#}
{% test total_covers_slices(model, total, by, slices) %}
{{ config(tags=['critical']) }}
with totals as (
    select {{ by | join(', ') }}, {{ total }} as total from {{ model }}
    where {% for slice in slices %}{{ slice }} = 'all'{{ ' and ' if not loop.last }}{% endfor %}
)
select slices.* from {{ model }} as slices
left join totals using ({{ by | join(', ') }})
where slices.{{ total }} > coalesce(totals.total, 0)
{% endtest %}
