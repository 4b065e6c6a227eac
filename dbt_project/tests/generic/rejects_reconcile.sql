{# Each new load has as many records in quarantine as the ledger says. #}
{% test rejects_reconcile(model, feed) %}
{{ config(tags=['critical']) }}
select loads.load_id, loads.source_file, loads.rejected_count, count(rejects.load_id) as found_count
from raw._loads as loads
left join raw._rejects as rejects on loads.load_id = rejects.load_id and rejects.replayed_at is null
where loads.load_id in ({{ load_list(new_loads(feed)) }}) and loads.status = 'loaded'
group by loads.load_id, loads.source_file, loads.rejected_count
having loads.rejected_count <> count(rejects.load_id)
{% endtest %}
