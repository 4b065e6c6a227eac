{# Half-open intervals [start, end) of one key share no instant, and none ends before it starts; no end is for ever. #}
{% test intervals_do_not_overlap(model, key, start_column, end_column) %}
{{ config(tags=['critical']) }}
select * from (
    select
        intervals.*,
        lead({{ start_column }}) over (partition by {{ key | join(', ') }} order by {{ start_column }}) as _next_start
    from {{ model }} as intervals
) as intervals
where {{ end_column }} <= {{ start_column }} or _next_start < {{ end_column }}
    or ({{ end_column }} is null and _next_start is not null)
{% endtest %}
