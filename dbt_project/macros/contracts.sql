{# Whose user ids a feed carries, as its contract says (the generated sources file passes it on). #}
{% macro source_identity(domain, feed) %}
    {%- if execute -%}
        {%- for node in graph.sources.values() if node.source_name == domain and node.name == feed -%}
            {{ node.meta.identity }}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
