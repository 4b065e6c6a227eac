{#
    The model has consumed every load of its feeds that the newest dbt run froze and that is still in raw: none was passed
    over. Those of other feeds are not its business: a run of one domain leaves them to the next run of all.
#}
{% test loads_are_consumed(model) %}
{{ config(tags=['critical']) }}
{%- set node = graph.nodes.values() | selectattr('name', 'equalto', model.identifier) | first if execute else none %}
select loads.load_id, loads.feed, loads.source_file
from raw._loads as loads
where
    loads.feed in ('{{ feeds_behind(node) | join("', '") if node }}')
    and loads.load_id in (
        select unnest(newest.load_ids) from (
            select load_ids from {{ state('_batches') }} order by started_at desc limit 1
        ) as newest
        except
        {{ consumed_loads(model.identifier) }}
    )
{% endtest %}
