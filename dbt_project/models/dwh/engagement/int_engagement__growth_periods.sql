{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={
        'feeds': ['events', 'app_events'],
        'rebuilt': 'changed_and_next_periods',
        'last_day': "max(period_start) filter (where period_type = 'day' and active_user_count > 0)",
    },
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per day, ISO week or month and product or country (the other is `all`) with a user active in it or in
-- the period before. See docs/metrics.md#growth-accounting.
-- A changed day changes its own period and, by who is retained or has churned, the one after it.
{% set days = days_to_rebuild() %}
with newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

{% for type in period_types() %}
    {{ type }}_neighbours as (
        select
            *,
            {{ period_start(type, 'first_date') }} as first_period,
            lag(period_start) over (partition by user_key, product, country order by period_start) as earlier_period,
            lead(period_start) over (partition by user_key, product, country order by period_start) as later_period
        from (
            {{ tracked_periods(type, 'period_start in (' ~ periods_of(type, days, [-1, 0, 1]) ~ ')' if is_incremental() else 'true') }}
        ) as tracked
    ),

    {{ type }}_counts as (
        select
            '{{ type }}' as period_type,
            period_start,
            product,
            country,
            only_product,
            only_country,
            count(*) as active_user_count,
            count(*) filter (where first_period = period_start) as new_user_count,
            count(*) filter (
                where first_period < period_start
                and earlier_period = {{ previous_period(type, 'period_start') }}
            ) as retained_user_count,
            0 as churned_user_count
        from {{ type }}_neighbours
        group by period_start, product, country, only_product, only_country
        union all
        select
            '{{ type }}' as period_type,
            {{ next_period(type, 'period_start') }} as period_start,
            product,
            country,
            only_product,
            only_country,
            0 as active_user_count,
            0 as new_user_count,
            0 as retained_user_count,
            count(*) as churned_user_count
        from {{ type }}_neighbours
        where later_period is null or later_period > {{ next_period(type, 'period_start') }}
        group by period_start, product, country, only_product, only_country
    ),
{% endfor %}

counts as (
    {% for type in period_types() %}
        select * from {{ type }}_counts
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

expanded as (
    {{ expand_tracks(
        'counts', ['period_type', 'period_start'],
        ['active_user_count', 'new_user_count', 'retained_user_count', 'churned_user_count'],
    ) }}
),

final as (
    select
        expanded.period_type,
        expanded.period_start,
        expanded.product,
        expanded.country,
        expanded.active_user_count,
        expanded.new_user_count,
        expanded.retained_user_count,
        expanded.active_user_count - expanded.new_user_count - expanded.retained_user_count
            as resurrected_user_count,
        expanded.churned_user_count
    from expanded
    cross join newest
    where
        expanded.period_start <= newest.newest_date
        {% if is_incremental() %}
            and {{ changed_and_next_periods() }}
        {% endif %}
)

select * from final
