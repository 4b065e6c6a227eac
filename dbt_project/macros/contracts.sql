{#
    What the contract of a feed says of its rows, as the generated sources file passes it on: identity (whose user ids
    they carry), user and event_time (its columns), currency (of amounts that name none). The feeds stand a second time,
    without it, for Elementary's monitors. While dbt parses, and in unit tests, no source is known: names stand in.
#}
{% macro feed_contract(feed) %}
    {%- if execute and graph.sources -%}
        {%- for node in graph.sources.values() if node.name == feed and node.meta -%}
            {%- do return(node.meta) -%}
        {%- endfor -%}
        {%- do exceptions.raise_compiler_error('No feed ' ~ feed ~ ' among the sources') -%}
    {%- endif -%}
    {%- do return({'identity': 'identity', 'user': 'user_id', 'event_time': 'event_time', 'currency': 'USD'}) -%}
{% endmacro %}
