{#
    What changed since a model last looked.

    raw._changed_days and raw._removed_<feed> say what each load added, replaced or removed. A dbt command first
    freezes the loads it sees (`_batches`), so that every model of it works on the same loads, however many commit
    meanwhile; a model records the loads it has consumed (`_consumed_loads`) in the transaction that builds it: those
    that the models it reads have consumed, so that one model run alone takes no load past its parents.
    Not a highest id: parallel loads commit out of order.
#}
{% macro state(table) %}{{ generate_schema_name('dwh', none) | trim }}.{{ table }}{% endmacro %}

{% macro freeze_loads() %}
    {% if execute and flags.WHICH in ('run', 'build', 'snapshot') %}
        create schema if not exists {{ generate_schema_name('dwh', none) | trim }};
        create table if not exists {{ state('_batches') }} (
            invocation_id text primary key, load_ids bigint [] not null, started_at timestamptz not null default now()
        );
        create table if not exists {{ state('_consumed_loads') }} (
            model text, load_id bigint, primary key (model, load_id)
        );
        create table if not exists {{ state('_model_versions') }} (model text primary key, version text not null);
        create table if not exists {{ state('_moved_days') }} ( -- see macros/engagement.sql
            load_id bigint, event_date date, primary key (load_id, event_date)
        );
        create unlogged table if not exists {{ state('_changed_user_keys') }} ( -- likewise
            load_set bigint not null, user_key integer not null
        );
        truncate {{ state('_changed_user_keys') }};
        delete from {{ state('_batches') }} where started_at < now() - interval '1 day';
        delete from {{ state('_consumed_loads') }} -- of models that are no more: nothing waits for them
        where model in (
            select model from ({{ recorded_models() }}) as models
            where model not in ('{{ graph.nodes.values() | map(attribute="name") | join("', '") }}')
        );
        delete from {{ state('_moved_days') }} as moved -- every model has seen them
        where not exists (
            select 1 from ({{ recorded_models() }}) as models
            where not exists (
                select 1 from {{ state('_consumed_loads') }} as consumed
                where consumed.model = models.model and consumed.load_id = moved.load_id
            )
        );
        insert into {{ state('_batches') }} (invocation_id, load_ids)
        select '{{ invocation_id }}', coalesce(array_agg(load_id), '{}') from raw._loads where status <> 'refused'
    {% endif %}
{% endmacro %}

{# Names of models that have consumed loads, as a subquery: each looked up by the one before, not by reading all rows. #}
{% macro recorded_models() -%}
    with recursive models as (
        select min(model) as model from {{ state('_consumed_loads') }}
        union all
        select (select min(later.model) from {{ state('_consumed_loads') }} as later where later.model > models.model)
        from models where models.model is not null
    )
    select model from models where model is not null
{%- endmacro %}

{# The loads that the command froze, and those that a model has consumed: subqueries of one column, load_id. #}
{% macro frozen_loads() -%}
    select unnest(load_ids) as load_id from {{ state('_batches') }} where invocation_id = '{{ invocation_id }}'
{%- endmacro %}
{% macro consumed_loads(model_name) -%}
    select load_id from {{ state('_consumed_loads') }} where model = '{{ model_name }}'
{%- endmacro %}

{#
    Post-hook of every dwh model and snapshot, in its transaction. `--empty` builds consume nothing. Only what differs is
    written: after some years there are thousands of loads, of which a day brings a few.
#}
{% macro record_loads() %}
    {%- set is_built_anew = config.get('materialized') != 'incremental' or not is_incremental() or flags.EMPTY %}
    {%- set parents = [] %}
    {%- for parent in model.depends_on.nodes if parent in graph.nodes and graph.nodes[parent].config.materialized in ('incremental', 'table', 'snapshot') %}
        {%- do parents.append(graph.nodes[parent].name) %}
    {%- endfor %}
    {% if is_built_anew %}
        delete from {{ state('_consumed_loads') }}
        where
            model = '{{ this.name }}'
            {%- if not flags.EMPTY %}
            and (
                load_id not in ({{ frozen_loads() }})
                {%- for parent in parents %}
                or load_id not in ({{ consumed_loads(parent) }})
                {%- endfor %}
            )
            {%- endif %};
    {% endif %}
    {% if not flags.EMPTY %}
        insert into {{ state('_consumed_loads') }} (model, load_id)
        select '{{ this.name }}', frozen.load_id
        from (
            {{ frozen_loads() }}
            except
            {{ consumed_loads(this.name) }}
        ) as frozen
        {%- for parent in parents %}
        {{ 'where' if loop.first else 'and' }} exists (
            select 1 from {{ state('_consumed_loads') }} as upstream
            where upstream.model = '{{ parent }}' and upstream.load_id = frozen.load_id
        )
        {%- endfor %}
        on conflict do nothing;
    {% endif %}
    {% if current_version() %}
        insert into {{ state('_model_versions') }} (model, version)
        values ('{{ this.name }}', '{{ current_version() }}')
        on conflict (model) do update set version = excluded.version;
    {% endif %}
{% endmacro %}

{#
    The one column of a query, as a list. While a node is compiled, and again while it is built, each query is asked once:
    many macros ask the same, and neither phase changes the answer before its last question.
#}
{% macro asked_once(query) %}
    {%- set known = load_result('asked_once ' ~ query) -%}
    {%- set table = known.table if known else run_query(query) -%}
    {%- do store_result('asked_once ' ~ query, response='', agate_table=table) -%}
    {%- do return(table.columns[0].values() | list) -%}
{% endmacro %}

{# Ids of the frozen loads of a feed that `this` has not consumed; none where it is built anew. #}
{% macro pending_loads(feeds) %}
    {% do return(waiting_loads(feeds) if execute and this and is_incremental() else []) %}
{% endmacro %}
{% macro waiting_loads(feeds) %}
    {% set query %}
        select loads.load_id from raw._loads as loads
        where
            loads.feed in ('{{ feeds | join("', '") }}')
            and loads.load_id in (
                {{ frozen_loads() }}
                except
                {{ consumed_loads(this.name) }}
            )
        order by loads.load_id
    {% endset %}
    {% do return(asked_once(query)) %}
{% endmacro %}

{# The event days that pending loads of the feeds touched: a list of dates. #}
{% macro pending_days(feeds) %}
    {%- set loads = pending_loads(feeds) -%}
    {%- if not loads -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        select distinct event_date from raw._changed_days
        where feed in ('{{ feeds | join("', '") }}') and load_id in ({{ loads | join(', ') }}) order by event_date
    {%- endset -%}
    {%- do return(asked_once(query)) -%}
{% endmacro %}

{# The same as date literals, for a filter on a day. #}
{% macro changed_days(feeds) %}{{ date_list(pending_days(feeds)) }}{% endmacro %}

{#
    Whether an instant lies on one of those days, as ranges of literals: they reach raw's index on the event time below
    a deduplication, which a subquery does not, nor a filter on the day.
#}
{% macro on_changed_days(instant, feeds) %}{{ on_days(instant, pending_days(feeds)) }}{% endmacro %}

{#
    Pre-hook: no model is built while rows that it reads are in files (retention.raw_days). A run brings them back before
    (growth/ageing.py); who builds models otherwise is told how. Rows cannot leave as long as the transaction goes on:
    that takes a lock of the table that is read here.
#}
{% macro require_rows() %}
    {%- set feeds = feeds_read(model) if execute else [] %}
    {%- if feeds %}
        do $$
        declare
            cold_feeds text;
        begin
            select string_agg(distinct cold.feed, ' ') into cold_feeds
            from raw._cold_files as cold
            where
                cold.feed in ('{{ feeds | join("', '") }}') and cold.aged_at is not null
                {%- if is_incremental() and config.meta_get('feeds') %}
                and exists (
                    select from raw._changed_days as days
                    where
                        days.load_id = cold.load_id
                        and days.event_date in ({{ changed_days(config.meta_get('feeds')) }})
                )
                {%- endif %};
            if cold_feeds is not null then
                raise exception 'Rows that {{ this.name }} reads left raw for files: growth thaw % brings them back',
                    cold_feeds;
            end if;
        end;
        $$
    {%- endif %}
{% endmacro %}

{# Feeds that a node reads, itself or through views: a list of their names. #}
{% macro feeds_read(node) %}
    {%- set feeds = [] %}
    {%- for parent in node.depends_on.nodes %}
        {%- if parent in graph.sources %}
            {%- do feeds.append(graph.sources[parent].name) %}
        {%- elif parent in graph.nodes and graph.nodes[parent].config.materialized in ('view', 'ephemeral') %}
            {%- do feeds.extend(feeds_read(graph.nodes[parent])) %}
        {%- endif %}
    {%- endfor %}
    {%- do return(feeds | unique | list) %}
{% endmacro %}

{# Feeds that a node is made from, through whichever models: a list of their names. #}
{% macro feeds_behind(node, seen=none) %}
    {%- set seen = {} if seen is none else seen %}
    {%- for parent in node.depends_on.nodes %}
        {%- if parent in graph.sources %}
            {%- do seen.update({parent: graph.sources[parent].name}) %}
        {%- elif parent in graph.nodes and parent not in seen %}
            {%- do seen.update({parent: none}) %}
            {%- do feeds_behind(graph.nodes[parent], seen) %}
        {%- endif %}
    {%- endfor %}
    {%- do return(seen.values() | select | unique | sort) %}
{% endmacro %}

{#
    The users with a row that pending loads added, changed or removed: a subquery of one column, user_id.
    The days of the loads stand beside their ids because every table of raw has an index on its time.
#}
{% macro changed_users(feeds) %}
    {%- if not (execute and this and is_incremental()) %}
        select cast(null as text) as user_id -- nobody is asked for: everyone is rebuilt
    {%- else %}
    {%- for feed in feeds %}
        {%- set contract = feed_contract(feed) %}
        select {{ clean_text('cast(' ~ contract.user ~ ' as text)') }} as user_id
        from raw.{{ feed }}
        where
            _load_id in ({{ load_list(pending_loads([feed])) }})
            and {{ on_changed_days(contract.event_time, [feed]) }}
        union
        select {{ clean_text('cast(' ~ contract.user ~ ' as text)') }}
        from raw._removed_{{ feed }}
        where _load_id in (
            select load_id from raw._loads where removed_by in ({{ load_list(pending_loads([feed])) }})
        )
        {{- ' union' if not loop.last }}
    {%- endfor %}
    {%- endif %}
{%- endmacro %}

{#
    What a model depends on as a whole: a fingerprint of a seed's rows (meta.versioned_by) and the value of a variable
    (meta.versioned_by_var), or the version that another model was last built from (meta.version_of). Empty for a model
    that depends on neither.
#}
{% macro current_version() %}
    {% if not execute %}{% do return('') %}{% endif %}
    {% if config.meta_get('versioned_by') %}
        {% set query %}
            select coalesce(md5(string_agg(rules::text, '|' order by rules::text collate "C")), '')
            from {{ ref(config.meta_get('versioned_by')).render() }} as rules
        {% endset %}
    {% elif config.meta_get('version_of') %}
        {% set query %}
            select coalesce(max(version), '') from {{ state('_model_versions') }}
            where model = '{{ config.meta_get('version_of') }}'
        {% endset %}
    {% else %}
        {% do return('') %}
    {% endif %}
    {% set variable = config.meta_get('versioned_by_var') %}
    {% do return(asked_once(query)[0] ~ (' ' ~ var(variable) if variable else '')) %}
{% endmacro %}

{# Whether what `this` depends on as a whole is another than at its last build. #}
{% macro is_outdated() %}
    {% if not (execute and this and is_incremental()) %}{% do return(false) %}{% endif %}
    {% set query %}select version from {{ state('_model_versions') }} where model = '{{ this.name }}'{% endset %}
    {% set versions = asked_once(query) %}
    {% do return(versions | length == 0 or versions[0] != current_version()) %}
{% endmacro %}
