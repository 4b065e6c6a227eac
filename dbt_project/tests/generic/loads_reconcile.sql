{#
    Each new load has as many rows in raw as the ledger says. Records that were replayed stand under their own load,
    and count in loaded_count of the file's load too.
#}
{% test loads_reconcile(model, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set loads = load_list(new_loads(feed)) %}
with ledger as (
    select
        load_id,
        source_file,
        case
            when status = 'loaded' then loaded_count - coalesce(
                (
                    select sum(replays.loaded_count) from raw._loads as replays
                    where replays.replay_of = loads.load_id and replays.status = 'replayed'
                ), 0
            )
            when status = 'replayed' then loaded_count
            else 0
        end as expected_count
    from raw._loads as loads
    where load_id in ({{ loads }})
),
found as (
    select _load_id, count(*) as row_count from {{ model }}
    where _load_id in ({{ loads }}) and {{ on_touched_days(feed, event_time) }}
    group by _load_id
)
select ledger.*, coalesce(found.row_count, 0) as row_count
from ledger
left join found on ledger.load_id = found._load_id
where ledger.expected_count <> coalesce(found.row_count, 0)
{% endtest %}
