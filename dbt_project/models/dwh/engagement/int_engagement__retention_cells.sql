{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_cells'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per cohort (week or month of the first event), later period of the same type with a user of it active,
-- and product or country (the other is `all`).
-- A changed day changes the cells of its own period; a first day that moved, whole cohorts.
{% set changed = pending_days(event_feeds()) %}
{% set moved = moved_days() %}
with
{% for type in ['week', 'month'] %}
    {{ type }}_counts as (
        select
            '{{ type }}' as period_type,
            {{ period_start(type, 'first_date') }} as cohort_start,
            period_start,
            product,
            country,
            only_product,
            only_country,
            count(*) as user_count
        from (
            {% if is_incremental() %}
                {{ tracked_periods(type, '(period_start in (' ~ periods_of(type, changed) ~ ') or period_start >= '
                    ~ periods_of(type, [moved | min] if moved else []) ~ ')') }}
            {% else %}
                {{ tracked_periods(type) }}
            {% endif %}
        ) as tracked
        {% if is_incremental() %}
            where period_start in ({{ periods_of(type, changed) }}) or {{ in_period_days(type, moved, 'first_date') }}
        {% endif %}
        group by
            {{ period_start(type, 'first_date') }}, period_start, product, country, only_product, only_country
    ),
{% endfor %}

counts as (
    select * from week_counts
    union all
    select * from month_counts
),

final as (
    {{ expand_tracks('counts', ['period_type', 'cohort_start', 'period_start'], ['user_count']) }}
)

select * from final
