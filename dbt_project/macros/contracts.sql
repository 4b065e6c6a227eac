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

{#
    Refuses contracts by which these feeds do not share their user ids: the models of their domain join users by the id
    alone. Gives no SQL.
#}
{% macro require_one_identity(feeds) -%}
    {%- set named, identities = [], [] -%}
    {%- for feed in feeds -%}
        {%- set identity = feed_contract(feed).identity -%}
        {%- do identities.append(identity) -%}
        {%- do named.append(feed ~ ' (identity ' ~ identity ~ ')') -%}
    {%- endfor -%}
    {%- if identities | unique | list | length > 1 -%}
        {%- do exceptions.raise_compiler_error(
            'These feeds must share their user ids, because their users are joined by the id alone: '
            ~ named | join(', ') ~ '. Name one identity in all of their contracts. Where the ids are not those of the'
            ~ ' same people, deliver files whose ids are, and leave feeds empty of which there are none (docs/feeds.md)'
        ) -%}
    {%- endif -%}
{%- endmacro %}
