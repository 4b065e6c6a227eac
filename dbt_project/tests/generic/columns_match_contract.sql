{# The raw table has the contract's columns (name: type) and `_load_id`, no more and no fewer. #}
{% test columns_match_contract(model, feed, columns) %}
{{ config(tags=['critical']) }}
with expected as (
    {%- for name, type in columns.items() %}
    select '{{ name }}' as column_name, '{{ type }}' as data_type{{ ' union all' if not loop.last }}
    {%- endfor %}
),
found as (
    select
        attname as column_name,
        replace(format_type(atttypid, atttypmod), 'timestamp with time zone', 'timestamptz') as data_type
    from pg_attribute
    where attrelid = to_regclass('raw.{{ feed }}') and attnum > 0 and not attisdropped
)
select coalesce(expected.column_name, found.column_name) as column_name, expected.data_type, found.data_type as found_type
from expected
full outer join found on expected.column_name = found.column_name
where coalesce(expected.data_type, '') <> coalesce(found.data_type, '')
{% endtest %}
