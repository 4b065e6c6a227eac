{#
    No event of a new load lies more than var future_days after its file was loaded: a clock or a format is wrong. A
    literal, the earliest such bound, reaches the index on time; as a rule not one page is read.
#}
{% test events_not_in_future(model, feed, event_time) %}
{{ config(tags=['critical']) }}
{%- set loads = load_list(new_loads(feed)) %}
{%- set bound = run_query('select min(started_at) from raw._loads where load_id in (' ~ loads ~ ')').columns[0].values()[0] if execute %}
select source.*, loads.source_file as _source_file, coalesce(files.started_at, loads.started_at) as _loaded_at
from {{ model }} as source
inner join raw._loads as loads on source._load_id = loads.load_id
left join raw._loads as files on loads.replay_of = files.load_id
where
    source._load_id in ({{ loads }})
    {%- if bound %}
    and (
        loads.replay_of is not null
        or source.{{ event_time }} > timestamptz '{{ bound }}' + {{ var('future_days') }} * interval '1 day'
    )
    {%- endif %}
    and source.{{ event_time }}
    > coalesce(files.started_at, loads.started_at) + {{ var('future_days') }} * interval '1 day'
{% endtest %}
