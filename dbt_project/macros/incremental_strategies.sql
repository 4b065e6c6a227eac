{#
    rebuild_days: every changed day (meta.feeds, meta.day_column) is deleted and inserted again whole, so that late,
    replaced and erased rows come out right, a day that lost its last row included.
#}
{% macro get_incremental_rebuild_days_sql(arguments) %}
    delete from {{ arguments['target_relation'] }}
    where {{ config.meta_get('day_column') }} in ({{ changed_days(config.meta_get('feeds')) }});
    {{ insert_rows(arguments) }}
{% endmacro %}

{#
    Pre-hook: a few days are read through an index, whatever the planner thinks. It takes an index of block ranges for
    useless where files were loaded out of order; but such an index still leaves out all but the pages of those days.
#}
{% macro read_days_by_index() %}
    {% if config.get('incremental_strategy') == 'rebuild_days' and is_incremental() %}set local enable_seqscan = off{% endif %}
{% endmacro %}

{#
    rebuild_users: every row of each changed user of the feeds (meta.feeds) is deleted and inserted again; all of them when
    what it depends on as a whole has changed. The users of the new rows are deleted too: a load that is replaced while the
    model runs may have changed the set, and a row must never stand twice.
#}
{% macro get_incremental_rebuild_users_sql(arguments) %}
    {% if config.meta_get('version_of') and is_outdated() %}
        delete from {{ arguments['target_relation'] }};
    {% else %}
        delete from {{ arguments['target_relation'] }}
        where user_id in (
            {{ changed_users(config.meta_get('feeds')) }}
            union
            select user_id from {{ arguments['temp_relation'] }}
        );
    {% endif %}
    {{ insert_rows(arguments) }}
{% endmacro %}

{% macro insert_rows(arguments) %}
    {%- set columns = arguments['dest_columns'] | map(attribute='quoted') | join(', ') %}
    insert into {{ arguments['target_relation'] }} ({{ columns }}) select {{ columns }} from {{ arguments['temp_relation'] }};
{% endmacro %}
