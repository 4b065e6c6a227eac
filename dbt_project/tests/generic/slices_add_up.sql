{# Of each slice column, the values other than `all` add up to the total in every measure: they share no user. #}
{% test slices_add_up(model, by, slices, measures) %}
{{ config(tags=['critical']) }}
with figures as (
    select
        {{ by | join(', ') }}, {{ measures | join(', ') }},
        case
            {%- for slice in slices %}
            when {{ slice }} <> 'all' then '{{ slice }}'
            {%- endfor %}
            else 'all'
        end as slice_column
    from {{ model }}
),
sums as (
    select
        {{ by | join(', ') }}, slice_column
        {%- for measure in measures %}, sum({{ measure }}) as {{ measure }}{% endfor %}
    from figures
    group by {{ by | join(', ') }}, slice_column
)
select totals.*, named.slice_column as of_column
    {%- for measure in measures %}, sums.{{ measure }} as {{ measure }}_of_slices{% endfor %}
from sums as totals
cross join (values {% for slice in slices %}('{{ slice }}'){{ ', ' if not loop.last }}{% endfor %}) as named (slice_column)
left join sums
    on named.slice_column = sums.slice_column
    {%- for column in by %} and totals.{{ column }} = sums.{{ column }}{% endfor %}
where
    totals.slice_column = 'all'
    and (
        {%- for measure in measures %}
        totals.{{ measure }} <> coalesce(sums.{{ measure }}, 0){{ ' or' if not loop.last }}
        {%- endfor %}
    )
{% endtest %}
