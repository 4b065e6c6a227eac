{# Every version of a slowly changing dimension, from the snapshot that keeps it: the query of its model. #}
{% macro versions(snapshot, feed, sk, key, attributes) %}
with versions as (select * from {{ snapshot }}),

final as (
    select
        {{ surrogate_key(["'" ~ feed_contract(feed).identity ~ "'", key, utc_text('valid_from')]) }} as {{ sk }},
        '{{ feed_contract(feed).identity }}' as identity,
        {{ key }},
        {{ attributes | join(',\n        ') }},
        valid_from,
        valid_to,
        valid_to is null as is_current
    from versions
)

select * from final
{% endmacro %}

{# Months of changed days of viewing, as rebuild_rows asks for them. #}
{% macro changed_viewing_months() -%}
    month_start in ({{ periods_of('month', pending_days(['viewing_activity'])) }})
{%- endmacro %}

{#
    Dates that extracts say of themselves, in the name of their folder: a subquery of one column, extract_date. A feed
    with any file outside of such a folder is dated by the clock, which must not enter a mart; the ledger then names its
    earlier extracts as if they lay in one.
#}
{% macro dated_extracts(feeds) %}
    select days.event_date as extract_date
    from raw._changed_days as days
    inner join raw._loads as loads on days.load_id = loads.load_id
    where
        days.feed in ('{{ feeds | join("', '") }}')
        and loads.status = 'loaded' and loads.loaded_count > 0 and not exists (
            select 1 from raw._loads as undated
            where
                undated.feed = days.feed and undated.status = 'loaded'
                and undated.source_file not like '%/extract\_date=%'
        )
{%- endmacro %}
