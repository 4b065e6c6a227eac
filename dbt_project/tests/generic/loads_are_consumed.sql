{#
    The model has consumed every load of its feeds that the newest dbt run froze and that is still in raw: none was passed
    over. Those of other feeds are not its business: a run of one domain leaves them to the next run of all.
#}
{% test loads_are_consumed(model) %}
{{ config(tags=['critical']) }}
{%- set nodes = graph.nodes.values() | selectattr('alias', 'equalto', model.identifier) | list if execute else [] %}
{%- set feeds = feeds_behind(nodes[0]) if nodes else [] %}
{%- if execute and not feeds %}
    {{ exceptions.raise_compiler_error(model.identifier ~ ' is made from no feed: loads_are_consumed has nothing to ask') }}
{%- endif %}
select loads.load_id, loads.feed, loads.source_file
from raw._loads as loads
where
    loads.feed in ('{{ feeds | join("', '") }}')
    and loads.load_id in (
        select unnest(newest.load_ids) from (
            select load_ids from {{ state('_batches') }} order by started_at desc limit 1
        ) as newest
        except
        {{ consumed_loads(model.identifier) }}
    )
{% endtest %}
