{# prod builds into the layer's own schema, every other target into <its schema>_<layer>. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if target.name == 'prod' -%}
        {{ custom_schema_name or target.schema }}
    {%- else -%}
        {{ target.schema }}_{{ custom_schema_name or 'dwh' }}
    {%- endif -%}
{%- endmacro %}
