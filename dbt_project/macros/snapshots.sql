{#
    dbt's snapshots, taken of extracts: the time of a snapshot is the date of the extract, never the clock, and one
    command takes every extract that waits, one by one, in the order of their dates. An extract that comes late, is
    replaced or goes takes the history back to before its date; from there the extracts, which all stay in raw, are taken
    again. So history is the same however they came. See docs/decisions/0007.

    A snapshot reads a model that shows the extract that is being taken (taken_extract), and names its feed (meta.feeds).
    Strategies, comparisons and the merge are dbt's own.
#}
{% materialization snapshot, adapter='postgres' %}
    {%- set feed = config.meta_get('feeds')[0] -%}
    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set is_new = load_cached_relation(this) is none -%}
    {%- set columns = config.get('snapshot_table_column_names') or get_snapshot_table_column_names() -%}
    {%- set extracts = extracts_to_take(feed, is_new) -%}
    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {#- what holds before the first extract that is taken -#}
    {%- do take_extract(none, none) -%}
    {% call statement('main') %}
        {%- if is_new %}
            {%- set strategy = snapshot_strategy(target_exists=false) %}
            {{ create_table_as(False, target_relation, build_snapshot_table(strategy, model['compiled_code'])) }}
        {%- else %}
            {%- set first = utc_midnight("date '" ~ extracts.taken_back_to ~ "'") %}
            delete from {{ target_relation }} where {{ columns.dbt_valid_from }} >= {{ first }};
            update {{ target_relation }} set {{ columns.dbt_valid_to }} = null
            where {{ columns.dbt_valid_to }} >= {{ first }};
        {%- endif %}
    {% endcall %}
    {%- do adapter.cache_added(target_relation) -%}{# strategy check looks for it there #}

    {%- for extract in extracts.waiting -%}
        {%- do take_extract(extract.extract_date, extract.earlier_date) -%}
        {%- set strategy = snapshot_strategy(target_exists=true) -%}
        {%- set staged = build_snapshot_staging_table(strategy, model['compiled_code'], target_relation) -%}
        {%- set inserted = [] -%}
        {%- for column in adapter.get_columns_in_relation(target_relation) -%}
            {%- do inserted.append(adapter.quote(column.name)) -%}
        {%- endfor -%}
        {% call statement('take_extract') %}
            {{ snapshot_merge_sql(target=target_relation, source=staged, insert_cols=inserted) }};
            drop table {{ staged }};
        {% endcall %}
    {%- endfor -%}
    {%- do take_extract(none, none) -%}

    {%- do persist_docs(target_relation, model) -%}
    {%- if is_new -%}{%- do create_indexes(target_relation) -%}{%- endif -%}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% macro snapshot_strategy(target_exists) -%}
    {%- do return(
        strategy_dispatch(config.get('strategy'))(model, 'snapshotted_data', 'source_data', model['config'], target_exists)
    ) -%}
{%- endmacro %}

{#
    The live extracts of a feed from the first day on that a waiting load touched (`taken_back_to`; all of them for a new
    table or a full refresh), each with the one before it.
#}
{% macro extracts_to_take(feed, is_new) %}
    {%- set is_whole = is_new or flags.FULL_REFRESH or flags.EMPTY -%}
    {%- set query -%}
        with extracts as ({{ extract_dates(feed) }}),
        waiting as (
            select min(event_date) as first_date from raw._changed_days
            where feed = '{{ feed }}' and load_id in ({{ load_list(waiting_loads([feed])) }})
        )
        select
            coalesce({{ "date '-infinity'" if is_whole else 'waiting.first_date' }}, date 'infinity') as first_date,
            extracts.extract_date,
            extracts.earlier_date
        from waiting
        left join (
            select extract_date, lag(extract_date) over (order by extract_date) as earlier_date from extracts
        ) as extracts
            on {{ 'true' if is_whole else 'extracts.extract_date >= waiting.first_date' }}
        order by extracts.extract_date
    {%- endset -%}
    {%- set rows = run_query('select first_date::text, extract_date::text, earlier_date::text from (' ~ query ~ ') as q').rows -%}
    {%- set waiting = [] -%}
    {%- for row in rows if row[1] and not flags.EMPTY -%}
        {%- do waiting.append({'extract_date': row[1], 'earlier_date': row[2]}) -%}
    {%- endfor -%}
    {%- do return({'taken_back_to': rows[0][0], 'waiting': waiting}) -%}
{% endmacro %}

{# Name the extract that is being taken, and the one before it, to the models that show them. #}
{% macro take_extract(extract_date, earlier_date) %}
    {%- do run_query(
        "select set_config('growth.taken_extract', '" ~ (extract_date or '') ~ "', false), "
        ~ "set_config('growth.extract_before', '" ~ (earlier_date or '') ~ "', false)"
    ) -%}
{% endmacro %}

{# The date of the extract that is being taken, and of the one before it; null outside of a snapshot. #}
{% macro taken_extract() %}{{ adapter.dispatch('taken_extract')() }}{% endmacro %}
{% macro default__taken_extract() -%}
    cast(nullif(current_setting('growth.taken_extract', true), '') as date)
{%- endmacro %}
{% macro extract_before() %}{{ adapter.dispatch('extract_before')() }}{% endmacro %}
{% macro default__extract_before() -%}
    cast(nullif(current_setting('growth.extract_before', true), '') as date)
{%- endmacro %}

{# dbt's time of a snapshot, with which it also closes what an extract lacks. #}
{% macro postgres__snapshot_get_time() -%}{{ utc_midnight(taken_extract()) }}{%- endmacro %}
