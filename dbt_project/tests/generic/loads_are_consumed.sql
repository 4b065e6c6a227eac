{# The model has consumed every load that the newest dbt run froze and that is still in raw: none was passed over. #}
{% test loads_are_consumed(model) %}
{{ config(tags=['critical']) }}
select loads.load_id, loads.feed, loads.source_file
from raw._loads as loads
where
    loads.load_id in (
        select unnest(newest.load_ids) from (
            select load_ids from {{ state('_batches') }} order by started_at desc limit 1
        ) as newest
        except
        {{ consumed_loads(model.identifier) }}
    )
{% endtest %}
