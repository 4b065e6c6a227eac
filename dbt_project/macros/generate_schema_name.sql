{#
    prod builds into the layer's own schema, every other target into <its schema>_<layer>. A package has a schema of its
    own name: a setting for a package that is not installed would be warned of in every command.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set name = node.package_name if node and node.package_name != project_name else custom_schema_name -%}
    {%- if target.name == 'prod' -%}
        {{ name or target.schema }}
    {%- else -%}
        {{ target.schema }}_{{ name or 'dwh' }}
    {%- endif -%}
{%- endmacro %}
