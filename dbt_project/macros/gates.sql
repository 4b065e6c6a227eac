{#
    What is new to a gate, and what becomes of failing rows. See docs/data-quality.md.

    A load is new until a model of its domain has consumed it (macros/changes.sql): gate_raw and gate_staging run before
    the models do, so they judge the loads of this run, and those of an earlier run whose gate stopped them. A run of
    another domain says nothing of them: its models see all loads, its gates their own. The days of all other
    loads are the feed's history. Days and loads are looked up first and rendered as literals, so that the tests read
    raw through its index on time, never all of it.
#}
{% macro new_loads(feed) %}
    {%- if not execute -%}{%- do return([]) -%}{%- endif -%}
    {%- set state_exists = asked_once("select to_regclass('" ~ state('_consumed_loads') ~ "')")[0] -%}
    {%- set query -%}
        select load_id from raw._loads as loads
        where feed = '{{ feed }}' and status <> 'refused'
        {%- if state_exists %}
            and not exists (
                select 1 from {{ state('_consumed_loads') }} as consumed
                where consumed.load_id = loads.load_id and consumed.model in ('{{ models_of_domain(feed) | join("', '") }}')
            )
        {%- endif %}
        order by load_id
    {%- endset -%}
    {%- do return(asked_once(query)) -%}
{% endmacro %}

{# Names of the models and snapshots of a feed's domain, whose name its source has; where it has none, of all domains. #}
{% macro models_of_domain(feed) %}
    {%- set domains = graph.sources.values() | selectattr('name', 'equalto', feed) | map(attribute='source_name') | list -%}
    {%- set nodes = graph.nodes.values() | selectattr('resource_type', 'in', ['model', 'snapshot']) | list -%}
    {%- set own = [] -%}
    {%- for node in nodes if domains and domains[0] in node.tags %}{% do own.append(node.name) %}{% endfor -%}
    {%- do return(own or nodes | map(attribute='name') | list) -%}
{% endmacro %}

{#
    Names of the marts of just the domains that a model is of; of those of no domain for a model of none, which only a run
    of all domains builds. All marts where there are none: some publication must be the last.
#}
{% macro marts_of_domain(model_name) %}
    {%- set domains = graph.sources.values() | map(attribute='source_name') | unique | list -%}
    {%- set models = graph.nodes.values() | selectattr('resource_type', 'in', ['model', 'snapshot']) | list -%}
    {%- set model = models | selectattr('name', 'equalto', model_name) | first -%}
    {%- set marts, own = [], [] -%}
    {%- for mart in models if 'mart' in mart.tags -%}
        {%- do marts.append(mart.name) -%}
        {%- if mart.tags | select('in', domains) | sort == model.tags | select('in', domains) | sort -%}
            {%- do own.append(mart.name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do return(own or marts) -%}
{% endmacro %}

{# Ids of loads as the inside of `in (…)`, never empty. #}
{% macro load_list(loads) %}{{ (loads or [-1]) | join(', ') }}{% endmacro %}

{# Every day that new loads of a feed touched: a list of dates. #}
{% macro touched_days(feed) %}
    {%- if not execute -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        select distinct event_date from raw._changed_days
        where feed = '{{ feed }}' and load_id in ({{ load_list(new_loads(feed)) }}) order by event_date
    {%- endset -%}
    {%- do return(asked_once(query)) -%}
{% endmacro %}

{#
    Days of the feed's history, as a subquery of one column, event_date; and those of new loads. A day that was unloaded is
    no history, and one that was unloaded before any model saw it is as if it had never come. A day that lay ahead when its
    file was loaded is none: events_not_in_future stopped it, and the ledger keeps it when it is unloaded.
#}
{% macro history_days(feed) -%}{{ days_of_loads(feed, 'not is_new') }}{%- endmacro %}
{% macro fresh_days(feed) -%}{{ days_of_loads(feed, 'is_new') }}{%- endmacro %}
{% macro days_of_loads(feed, of_loads) -%}
    select distinct event_date from ({{ days_by_load(feed) }}) as days
    where {{ of_loads }} and event_date <= {{ utc_date('finished_at') }} + {{ var('future_days') }}
{%- endmacro %}

{#
    Days and loads that gates know of, as a subquery: loads whose rows are in raw, and those of history that new ones
    replaced, as long as a file of that path is loaded. loaded_on is the day on which the load began.
#}
{% macro days_by_load(feed) -%}
    {%- set new = load_list(new_loads(feed)) -%}
    select
        days.event_date,
        days.load_id in ({{ new }}) as is_new,
        loads.status = 'replaced' as is_replaced,
        {{ utc_date('loads.started_at') }} as loaded_on,
        loads.finished_at
    from raw._changed_days as days
    inner join raw._loads as loads on days.load_id = loads.load_id
    where
        days.feed = '{{ feed }}'
        and (
            loads.status in ('loaded', 'replayed')
            or (
                loads.status = 'replaced' and loads.removed_by in ({{ new }}) and loads.load_id not in ({{ new }})
                and exists (
                    select from raw._loads as later
                    where later.source_file = loads.source_file and later.status = 'loaded'
                )
            )
        )
{%- endmacro %}

{#
    Days that are judged as new ones, as a subquery: event_date. Those of new loads, but for days that history settled:
    that a load of it brought when they were over. What a file that was loaded on a day held of it, as one second after
    midnight, is no day yet: it is judged with the file that brings the rest; or without, when it is the newest of history
    and a later one comes. A day that is still going on has no volume yet, and those of var excepted_days are not judged.
#}
{% macro new_days(feed) -%}
    select days.event_date from ({{ days_by_load(feed) }}) as days
    cross join (
        select
            max(event_date) filter (where is_new) as newest_date,
            max(loaded_on) filter (where is_new) as loaded_on,
            max(event_date) filter (where not is_new) as newest_of_history
        from ({{ days_by_load(feed) }}) as known
        where event_date <= {{ utc_date('finished_at') }} + {{ var('future_days') }}
    ) as fresh
    where days.event_date not in ({{ excepted_days(feed) }})
    group by days.event_date, fresh.newest_date, fresh.loaded_on, fresh.newest_of_history
    having
        not bool_or(not days.is_new and days.event_date < days.loaded_on)
        and (
            bool_or(days.is_new and days.event_date < days.loaded_on)
            or (
                days.event_date = fresh.newest_of_history
                and days.event_date < fresh.newest_date and days.event_date < fresh.loaded_on
            )
        )
{%- endmacro %}

{# Days of history whose rows a new load replaced, as a subquery: event_date. #}
{% macro replaced_days(feed) -%}
    select distinct event_date from ({{ days_by_load(feed) }}) as days
    where is_replaced and event_date < loaded_on
{%- endmacro %}

{% macro excepted_days(feed) -%}
    {%- for day in var('excepted_days').get(feed, []) -%}
        date '{{ day }}'{{ ', ' if not loop.last }}
    {%- else -%}
        date '-infinity'
    {%- endfor -%}
{%- endmacro %}

{# On-run-start: days of a feed that there is not would be judged all the same, as if nobody had excepted them. #}
{% macro check_excepted_days() %}
    {%- if not execute -%}{%- do return('') -%}{%- endif -%}
    {%- set feeds = graph.sources.values() | map(attribute='name') | unique | sort -%}
    {%- set unknown = var('excepted_days') | reject('in', feeds) | sort -%}
    {%- if unknown -%}
        {%- do exceptions.raise_compiler_error(
            'var excepted_days: unknown feed: ' ~ unknown | join(', ') ~ '; there are: ' ~ feeds | join(', ')
        ) -%}
    {%- endif -%}
{% endmacro %}

{#
    Days of feeds of which rows left raw for files (retention.raw_days), as a subquery of one column, event_date. What
    new loads touched was brought back before, so these are days that no model built in this run, and no more to compare
    with.
#}
{% macro cold_days(feeds) -%}
    select days.event_date from raw._changed_days as days
    inner join raw._cold_files as cold on days.load_id = cold.load_id
    where cold.feed in ('{{ feeds | join("', '") }}') and cold.aged_at is not null
{%- endmacro %}

{#
    New days of a feed, each with the same weekdays of the weeks before it that history has: a list of pairs of dates. Also
    replaced ones, where these are asked for; the third value of a pair says whether it is one.
#}
{% macro days_to_compare(feed, with_replaced=false) %}
    {%- if not execute -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        with history as ({{ history_days(feed) }}),
        judged as (
            select event_date, false as is_replaced from ({{ new_days(feed) }}) as new_ones
            {%- if with_replaced %}
            union all
            select event_date, true as is_replaced from ({{ replaced_days(feed) }}) as replaced_ones
            where event_date not in ({{ excepted_days(feed) }})
            {%- endif %}
        )
        select judged.event_date, history.event_date, judged.is_replaced
        from judged
        inner join history
            on
                mod(judged.event_date - history.event_date, 7) = 0
                and judged.event_date - history.event_date between 7 and 7 * {{ var('compared_weeks') }}
        where
            (
                select count(*) from history as earlier where earlier.event_date < judged.event_date
            ) >= {{ var('history_min_days') }}
            and history.event_date not in ({{ cold_days([feed]) }})
        order by 1, 2
    {%- endset -%}
    {%- do return(run_query(query).rows | list) -%}
{% endmacro %}

{# Whether an instant (or a date) lies on one of the days, as ranges of literals, which reach an index on it. #}
{% macro on_days(instant, days) -%}
    {%- set ranges = [] -%}
    {%- for day in days | unique | sort -%}
        {%- set follows = ranges and ranges[-1][1].toordinal() + 1 == day.toordinal() -%}
        {%- do ranges.append([ranges.pop()[0] if follows else day, day]) -%}
    {%- endfor -%}
    (
    {%- for range in ranges -%}
        ({{ instant }} >= timestamptz '{{ range[0] }} 00:00:00+00'
        and {{ instant }} < timestamptz '{{ range[1] }} 00:00:00+00' + interval '1 day')
        {{- ' or ' if not loop.last }}
    {%- else -%}
        false
    {%- endfor -%}
    )
{%- endmacro %}

{# A condition that keeps a test to the days that new loads touched; without a feed it keeps everything. #}
{% macro on_touched_days(feed, instant) -%}
    {{ on_days(instant, touched_days(feed)) if feed else 'true' }}
{%- endmacro %}

{#
    Days whose rows a model of the dwh may have built since its gate last passed: those of loads since a day before the
    last publication of its domain's candidates (all loads before the first), as far as the model has consumed every load
    that touched them. A rollback, or a publication of another domain, says nothing of this gate. Days whose rows left
    raw were judged when they were built.
#}
{% macro built_days(feeds, model_name) %}
    {%- if not execute -%}{%- do return([]) -%}{%- endif -%}
    {%- set state_exists = run_query("select to_regclass('" ~ state('_consumed_loads') ~ "')").columns[0].values()[0] -%}
    {%- if not state_exists -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        select days.event_date from raw._changed_days as days
        inner join raw._loads as loads on days.load_id = loads.load_id
        left join {{ state('_consumed_loads') }} as consumed
            on days.load_id = consumed.load_id and consumed.model = '{{ model_name }}'
        where
            days.feed in ('{{ feeds | join("', '") }}')
            and days.event_date not in ({{ cold_days(feeds) }})
        group by days.event_date
        having
            count(*) = count(consumed.load_id)
            and max(loads.finished_at) > coalesce(
                (
                    select max(published_at) from mart.publications
                    where
                        not is_rollback
                        and row_counts ?| array['{{ marts_of_domain(model_name) | join("', '") }}']::text[]
                ),
                timestamptz '-infinity'
            ) - interval '1 day'
        order by days.event_date
    {%- endset -%}
    {%- do return(run_query(query).columns[0].values() | list) -%}
{% endmacro %}

{#
    On-run-end: a failed test's rows stay in schema dq_failures until the test passes or they are older than var
    dq_failure_days. dbt makes a table for every test; those without rows go at once. What was kept when stands in the
    comment of the table, since Postgres does not know when it made one.
#}
{% macro keep_failures(results) %}
    {%- if not execute or flags.WHICH not in ('test', 'build') -%}{%- do return('') -%}{%- endif -%}
    {%- set schema = generate_schema_name('dq_failures', none) | trim -%}
    {%- set drops = [] -%}
    {%- for result in results
        if result.node.resource_type == 'test' and result.node.relation_name and result.status in ('pass', 'fail', 'warn')
    %}
        {%- if result.failures %}
            comment on table {{ result.node.relation_name }}
            is '{{ modules.datetime.datetime.utcnow().isoformat(timespec="seconds") }}Z {{ result.node.name }}';
        {%- else -%}
            {%- do drops.append(result.node.relation_name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set query -%}
        select '"{{ schema }}"."' || relname || '"' from pg_class
        where
            relnamespace = to_regnamespace('{{ schema }}') and relkind = 'r'
            and case
                when obj_description(oid, 'pg_class') ~ '^\d{4}-\d\d-\d\dT[0-9:]{8}Z '
                    then cast(split_part(obj_description(oid, 'pg_class'), ' ', 1) as timestamptz)
                        < now() - {{ var('dq_failure_days') }} * interval '1 day'
            end
    {%- endset -%}
    {%- do drops.extend(run_query(query).columns[0].values()) -%}
    {%- if drops %}
        drop table if exists {{ drops | join(', ') }}
    {%- endif -%}
{% endmacro %}
