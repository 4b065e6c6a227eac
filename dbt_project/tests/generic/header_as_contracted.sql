{#
    Schema drift: a new file has no field that the contract does not name (its aliases included) and lacks none of the
    nullable columns; files without a header have nothing to compare.
#}
{% test header_as_contracted(model, feed, columns) %}
{{ config(tags=['warning'], severity='warn') }}
with expected as (
    {%- for column, names in columns.items() %}{% set last = loop.last %}{% for name in names %}
    select '{{ column | replace("'", "''") }}' as column_name, lower('{{ name | replace("'", "''") }}') as field_name
    {{- ' union all' if not (last and loop.last) }}
    {%- endfor %}{% endfor %}
),
files as (
    select load_id, source_file, field_names from raw._loads
    where load_id in ({{ load_list(new_loads(feed)) }}) and status = 'loaded' and field_names is not null
),
fields as (
    select files.load_id, files.source_file, fields.field_name, expected.column_name
    from files
    cross join unnest(files.field_names) as fields (field_name)
    left join expected on lower({{ clean_text('fields.field_name') }}) = expected.field_name
)
select load_id, source_file, field_name, 'not in the contract' as difference from fields
where column_name is null
union all
select files.load_id, files.source_file, expected.column_name, 'not in the file' as difference
from files
cross join (select distinct column_name from expected) as expected
where not exists (
    select 1 from fields
    where fields.load_id = files.load_id and fields.column_name = expected.column_name
)
{% endtest %}
