{#
    How the rollups of engagement follow changes. A changed day reaches further than its own rows: into the period after
    it (churn), into windows that end after it, and, where it moves a user's first day, into the periods of the old and
    the new first day. The model that finds a first day moved passes those days on in `_moved_days`, under a load that it
    consumed, so that a model after it finds them until it has consumed that load itself.
#}
{% macro event_feeds() %}{% do return(['events', 'app_events']) %}{% endmacro %}

{# Days on which first days of users moved, as far as `this` has not seen it: a list of dates. #}
{% macro moved_days() %}
    {%- set loads = pending_loads(event_feeds()) -%}
    {%- if not loads -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        select distinct event_date from {{ state('_moved_days') }} where load_id in ({{ loads | join(', ') }})
    {%- endset -%}
    {%- do return(asked_once(query)) -%}
{% endmacro %}

{#
    Days whose periods and windows `this` builds anew: changed days, moved days, and the last day that it has
    (meta.last_day, an expression over `this`), which has a day after it now.
#}
{% macro days_to_rebuild() %}
    {%- set changed = pending_days(event_feeds()) -%}
    {%- if not changed -%}{%- do return([]) -%}{%- endif -%}
    {%- set last = asked_once('select ' ~ config.meta_get('last_day') ~ ' from ' ~ this)[0] -%}
    {%- do return(changed + moved_days() + ([last] if last else [])) -%}
{% endmacro %}

{#
    Keys of the users with a row that pending loads added, changed or removed: a subquery of one column, user_key. They are
    looked up once for all models of a command that wait for the same loads, by the pre-hook of the first one.
#}
{% macro changed_user_keys() %}
    {%- set user_keys = ref('int_engagement__user_keys') -%}{# read by the pre-hook: named here, where dbt looks #}
    {%- if execute and this and is_incremental() %}
        select user_key from {{ state('_changed_user_keys') }} where load_set = {{ pending_load_set() }}
    {%- else %}
        select cast(null as integer) as user_key -- nobody is asked for: everyone is rebuilt
    {%- endif %}
{% endmacro %}
{% macro pending_load_set() %}hashtextextended('{{ pending_loads(event_feeds()) | join(' ') }}', 0){% endmacro %}
{% macro look_up_changed_users() %}
    {%- if execute and is_incremental() and config.get('incremental_strategy') in by_user_strategies() %}
        do $$
        begin
            if not exists (select from {{ state('_changed_user_keys') }} where load_set = {{ pending_load_set() }}) then
                insert into {{ state('_changed_user_keys') }} (load_set, user_key)
                select {{ pending_load_set() }}, user_keys.user_key
                from {{ ref('int_engagement__user_keys') }} as user_keys
                where user_keys.user_id in ({{ changed_users(event_feeds()) }});
                analyze {{ state('_changed_user_keys') }};
            end if;
            {%- if config.get('incremental_strategy') == 'rebuild_open_tracks' %}
            -- To look up one user costs as much as to read some fifty events, more from a disk. Where most users change,
            -- the planner still takes them for few, behind several joins: it reads all events once if it may not loop.
            if 50 * (select count(*) from {{ state('_changed_user_keys') }} where load_set = {{ pending_load_set() }})
                > (select reltuples from pg_class where oid = '{{ ref('fct_events') }}'::regclass) then
                set local enable_nestloop = off;
            end if;
            {%- endif %}
        end;
        $$
    {%- endif %}
{% endmacro %}
{% macro by_user_strategies() %}
    {%- do return(['rebuild_user_slices', 'rebuild_user_tracks', 'rebuild_user_windows', 'rebuild_open_tracks']) %}
{% endmacro %}

{# Keys of the users whose rows the first three build anew: a subquery. Those of the new rows, too, as in rebuild_users. #}
{% macro rebuilt_user_keys(arguments) -%}
    {{ changed_user_keys() }} union select user_key from {{ arguments['temp_relation'] }}
{%- endmacro %}

{# rebuild_user_slices: the changed users' rows of the months of changed days are built anew. #}
{% macro get_incremental_rebuild_user_slices_sql(arguments) %}
    delete from {{ arguments['target_relation'] }}
    where
        month_start in ({{ periods_of('month', pending_days(event_feeds())) }})
        and user_key in ({{ rebuilt_user_keys(arguments) }});
    {{ insert_rows(arguments) }}
{% endmacro %}

{# rebuild_user_tracks: the changed users' rows are built anew; first days that moved are passed on. #}
{% macro get_incremental_rebuild_user_tracks_sql(arguments) %}
    {%- set loads = pending_loads(event_feeds()) %}
    {%- if loads %}
        insert into {{ state('_moved_days') }} (load_id, event_date)
        with old as (
            select user_key, product, country, first_date from {{ arguments['target_relation'] }}
            where user_key in ({{ rebuilt_user_keys(arguments) }})
        ),
        moves as (
            select old.first_date as old_date, new.first_date as new_date
            from old
            full outer join {{ arguments['temp_relation'] }} as new
                on old.user_key = new.user_key and old.product = new.product and old.country = new.country
            where old.first_date is null or new.first_date is null or old.first_date <> new.first_date
        )
        select distinct {{ loads[-1] }}, moved.event_date
        from (select old_date as event_date from moves union all select new_date from moves) as moved
        where moved.event_date is not null
        on conflict do nothing;
    {%- endif %}
    delete from {{ arguments['target_relation'] }}
    where user_key in ({{ rebuilt_user_keys(arguments) }});
    {{ insert_rows(arguments) }}
{% endmacro %}

{#
    Whether changed days cannot reach a row of `this` any more: what it tells ended before the first of these days
    (meta.last_instant, an expression over the row).
#}
{% macro is_closed() -%}
    {%- set days = pending_days(event_feeds()) -%}
    {{ config.meta_get('last_instant') ~ ' < ' ~ utc_midnight("date '" ~ days | min ~ "'") if days else 'true' }}
{%- endmacro %}

{#
    Users and products of `this` that are closed: a subquery of user_key and product. meta.one_row says of which row, for
    a model with several of a user and product. Most of the users of a day have been here for long.
#}
{% macro closed_tracks() -%}
    select
        user_key,
        product
    from {{ this }}
    {%- if pending_days(event_feeds()) %}
    where {{ config.meta_get('one_row', 'true') }} and {{ is_closed() }}
    {%- endif %}
{%- endmacro %}

{#
    Users and products of the changed users that `this` builds anew: those that are not closed; a subquery of the rows of
    int_engagement__user_tracks. All of them where nothing is incremental, or what the model depends on has changed.
#}
{% macro open_tracks() %}
    {%- set changed_keys = changed_user_keys() -%}
    {%- set is_partial = builds_open_tracks() -%}
    select
        tracks.user_key,
        tracks.product,
        tracks.first_date
    from {{ ref('int_engagement__user_tracks') }} as tracks
    {%- if is_partial %}
    left join (
        {{ closed_tracks() }}
    ) as closed
        on tracks.user_key = closed.user_key and tracks.product = closed.product
    {%- endif %}
    where
        tracks.country = 'all'
        {%- if is_partial %}
        and closed.user_key is null
        and tracks.user_key in (
            {{ changed_keys }}
        )
        {%- endif %}
{% endmacro %}

{# Whether a model with rebuild_open_tracks builds those only: else every track, anew. #}
{% macro builds_open_tracks() %}{% do return(is_incremental() and not is_outdated_open()) %}{% endmacro %}
{% macro is_outdated_open() %}{% do return(is_outdated() and config.meta_get('versioned_by')) %}{% endmacro %}

{#
    rebuild_open_tracks: the rows of changed users that are not closed are built anew; all where the model is outdated. Two
    statements, and no `not in`: joins may be of any size, but a subquery below an `or` is asked anew for each row where
    its rows do not fit work_mem.
#}
{% macro get_incremental_rebuild_open_tracks_sql(arguments) %}
    {%- if is_outdated_open() %}
        delete from {{ arguments['target_relation'] }};
    {%- else %}
        delete from {{ arguments['target_relation'] }} as rows_of_now
        where
            user_key in ({{ changed_user_keys() }})
            {%- if config.meta_get('one_row') %}
                and not exists (
                    select 1 from ({{ closed_tracks() }}) as closed
                    where closed.user_key = rows_of_now.user_key and closed.product = rows_of_now.product
                )
            {%- else %}
                and not ({{ is_closed() }})
            {%- endif %};
        delete from {{ arguments['target_relation'] }}
        where (user_key, product) in (select user_key, product from {{ arguments['temp_relation'] }});
    {%- endif %}
    {{ insert_rows(arguments) }}
{% endmacro %}

{# rebuild_rows: the rows that the macro meta.rebuilt names are built anew. #}
{% macro get_incremental_rebuild_rows_sql(arguments) %}
    delete from {{ arguments['target_relation'] }}
    where {{ context[config.meta_get('rebuilt')]() }};
    {{ insert_rows(arguments) }}
{% endmacro %}

{# Rows that changed days reach in a model of periods: those of the period itself, and of the one after it (churn). #}
{% macro changed_periods() %}{{ in_periods_of(pending_days(event_feeds())) }}{% endmacro %}
{% macro changed_and_next_periods() %}{{ in_periods_of(days_to_rebuild(), [0, 1]) }}{% endmacro %}

{# The same for retention: cells of a changed period, and all cells of a cohort whose users moved. #}
{% macro changed_cells() -%}
    ({{ in_periods_of(pending_days(event_feeds())) }} or {{ in_periods_of(moved_days()) | replace('period_start', 'cohort_start') }})
{%- endmacro %}

{#
    The same for windows of days: a window that ends up to 29 days after a changed day holds it. Where the newest days were
    taken out, there are none after the newest one of now.
#}
{% macro changed_windows() -%}
    (
    {%- for start in days_to_rebuild() | unique | sort -%}
        as_of_date between date '{{ start }}' and date '{{ start }}' + 29 or{{ ' ' }}
    {%- endfor -%}
    as_of_date > (select coalesce(max(activity_date), '-infinity') from {{ ref('fct_activity_daily') }})
    )
{%- endmacro %}

{# Days whose curves of 28 days `this` builds anew: changed days, the last day that it has, and the newest day. #}
{% macro curve_days() %}
    {%- if not (execute and is_incremental()) -%}{%- do return([]) -%}{%- endif -%}
    {%- set query -%}
        select max(newest_date) from {{ ref('int_engagement__periods') }}
        union select max(as_of_date) from {{ this }}
    {%- endset -%}
    {%- set ends = asked_once(query) | reject('none') | list -%}
    {%- do return(pending_days(event_feeds()) + ends) -%}
{% endmacro %}

{# Rows of curves that those days reach, and those of a day that was the newest: only month ends stay. #}
{% macro changed_curves(column='as_of_date') -%}
    (
    {%- for day in curve_days() | unique | sort -%}
        {{ column }} between date '{{ day }}' and date '{{ day }}' + 27{{ ' or ' if not loop.last }}
    {%- else -%}
        false
    {%- endfor -%}
    )
{%- endmacro %}

{# Live extracts of a feed that delivers whole tables, by the ledger: a subquery of one column, extract_date. #}
{% macro extract_dates(feed) %}
    select distinct days.event_date as extract_date
    from raw._changed_days as days
    inner join raw._loads as loads on days.load_id = loads.load_id
    where days.feed = '{{ feed }}' and loads.status = 'loaded' and loads.loaded_count > 0
{% endmacro %}

{# The last live extract before the first that pending loads touched: a date; null where there is none. #}
{% macro replayed_extract(feed) %}
    {%- set days = pending_days([feed]) -%}
    {%- if not days -%}{%- do return(none) -%}{%- endif -%}
    {%- set query -%}
        select max(extract_date) from ({{ extract_dates(feed) }}) as dates where extract_date < date '{{ days[0] }}'
    {%- endset -%}
    {%- do return(asked_once(query)[0]) -%}
{% endmacro %}

{# The same as a literal: from here on extracts are replayed. From the beginning, or never where nothing is pending. #}
{% macro replayed_extracts(feed) -%}
    {%- if not pending_days([feed]) -%}
        date 'infinity'
    {%- else -%}
        date '{{ replayed_extract(feed) or '-infinity' }}'
    {%- endif -%}
{%- endmacro %}

{# Whether a user has other attributes than in the extract before (lag) or after (lead). #}
{% macro is_unlike(attributes, neighbour) -%}
    (
    {%- for attribute in attributes -%}
        {{ attribute }} is distinct from {{ neighbour }}({{ attribute }}) over (partition by user_id order by extract_date)
        {{- ' or ' if not loop.last }}
    {%- endfor -%}
    )
{%- endmacro %}

{#
    rebuild_history: versions that begin after the first extract that is replayed are built anew, and of those that hold
    at it the ones whose end is another now; the model leaves out the rest.
#}
{% macro get_incremental_rebuild_history_sql(arguments) %}
    {%- set feed = config.meta_get('feeds')[0] %}
    {%- if pending_days([feed]) %}
        delete from {{ arguments['target_relation'] }} where valid_from > {{ utc_midnight(replayed_extracts(feed)) }};
        delete from {{ arguments['target_relation'] }}
        where (user_id, valid_from) in (select user_id, valid_from from {{ arguments['temp_relation'] }});
        {{ insert_rows(arguments) }}
    {%- else %}
        select 1;
    {%- endif %}
{% endmacro %}

{#
    What each user did in the 28 days up to one, in total and by product, as a subquery: user_key, product,
    active_day_count, event_count, event_count_7d. `as_of` is SQL of a date.
#}
{% macro recent_activity(as_of) %}
    select
        user_key,
        coalesce(product, 'all') as product,
        {{ day_count('bit_or(day_bits)') }} as active_day_count,
        sum(event_count) as event_count,
        sum(event_count_7d) as event_count_7d
    from (
        select
            activity.user_key,
            slices.product,
            bit_or({{ day_bit(as_of ~ ' - activity.activity_date') }}) as day_bits,
            cast(sum(activity.event_count) as integer) as event_count,
            cast(sum(case when activity.activity_date > {{ as_of }} - 7 then activity.event_count else 0 end) as integer)
                as event_count_7d
        from {{ ref('fct_user_activity_daily') }} as activity
        inner join {{ ref('int_engagement__slices') }} as slices on activity.slice_key = slices.slice_key
        where activity.activity_date > {{ as_of }} - 28 and activity.activity_date <= {{ as_of }}
        group by activity.user_key, slices.product
    ) as days
    group by grouping sets ((user_key), (user_key, product))
{% endmacro %}

{# The days after the first one on which it is asked whether users came back. #}
{% macro nday_numbers() %}{% do return([1, 3, 7, 14, 30]) %}{% endmacro %}

{#
    For which of these numbers a condition on day_bits holds, as bits. It may name the bits that are that day (on_day), or
    the days after the number before up to it (since_before).
#}
{% macro nday_bits(condition) -%}
    {%- for number in nday_numbers() -%}
        {%- set since_before = 2 ** number - 2 ** (loop.previtem or 0) -%}
        case when {{ condition | replace('on_day', (2 ** (number - 1)) | string)
            | replace('since_before', since_before | string) }} then {{ 2 ** loop.index0 }} else 0 end
        {{- ' + ' if not loop.last }}
    {%- endfor -%}
{%- endmacro %}

{# Those of these numbers that are not above a count of days, as the same bits. #}
{% macro nday_bits_up_to(days) -%}
    (1 << width_bucket({{ days }}, array{{ nday_numbers() }})) - 1
{%- endmacro %}
