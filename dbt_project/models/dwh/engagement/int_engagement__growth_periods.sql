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
-- A changed day changes its own period and, by who is retained or has churned, the one after it. A period and the one
-- before it lie in one row of bits: those of the month in which it ends.
{% set first = first_day_bit() %}
with months as (
    {{ window_months() }}
),

track_names as (
    {{ track_names() }}
),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

windows as (
    select
        user_windows.month_start,
        user_windows.track_key,
        user_windows.only_product_key,
        user_windows.only_country_key,
        user_windows.window_bits as day_bits,
        -- the seven lowest bits are the week before the first that ends in the month
        user_windows.window_bits >> ({{ first }} - 13 + months.sunday_place) as weeks,
        user_windows.window_bits >> {{ first }} as this_month,
        (user_windows.window_bits & {{ 2 ** first - 1 }}) >> ({{ first }} - months.previous_day_count) as previous_month
    from {{ ref('int_engagement__user_windows') }} as user_windows
    inner join months on user_windows.month_start = months.month_start
    where
        -- the last month that a week of the span ends in
        user_windows.month_start <= (select newest.newest_date + 6 from newest)
        {% if is_incremental() %}
            and user_windows.month_start in ({{ periods_of('month', days_to_rebuild(), [0, 1]) }})
        {% endif %}
),

tallies as (
    select
        month_start,
        track_key,
        only_product_key,
        only_country_key,
        {% for day in range(32) %}
            {{ users_with('day_bits', 2 ** (first + day - 1)) }} as day_{{ day }},
        {% endfor %}
        {% for day in range(1, 32) %}
            {{ users_with_both('day_bits', 2 ** (first + day - 1), 2 ** (first + day - 2)) }} as day_{{ day }}_retained,
        {% endfor %}
        {% for week in range(6) %}
            {{ users_with('weeks', 127 * 2 ** (7 * week)) }} as week_{{ week }},
        {% endfor %}
        {% for week in range(1, 6) %}
            {{ users_with_both('weeks', 127 * 2 ** (7 * week), 127 * 2 ** (7 * week - 7)) }}
                as week_{{ week }}_retained,
        {% endfor %}
        count(*) filter (where this_month > 0) as this_month,
        count(*) filter (where previous_month > 0) as previous_month,
        count(*) filter (where this_month > 0 and previous_month > 0) as month_retained
    from windows
    group by month_start, track_key, only_product_key, only_country_key
),

counts as (
    select
        period_counts.*,
        tallies.track_key,
        tallies.only_product_key,
        tallies.only_country_key
    from tallies
    inner join months on tallies.month_start = months.month_start
    cross join {{ periods_of_months('months', ['active_user_count', 'retained_user_count', 'previous_user_count'], {
        'day': ['tallies.day_#', 'tallies.day_#_retained', 'tallies.day_#-1'],
        'week': ['tallies.week_#', 'tallies.week_#_retained', 'tallies.week_#-1'],
        'month': ['tallies.this_month', 'tallies.month_retained', 'tallies.previous_month'],
    }) }}
    where period_counts.active_user_count + period_counts.previous_user_count > 0
),

first_days as (
    select
        first_date,
        product,
        country,
        count(*) as new_user_count
    from {{ ref('int_engagement__user_tracks') }}
    group by first_date, product, country
),

by_track as (
    {{ rows_of_tracks(
        'counts', 'period_type, period_start, active_user_count, retained_user_count, previous_user_count'
    ) }}
),

expanded as (
    select
        by_track.period_type,
        by_track.period_start,
        track_names.product,
        track_names.country,
        by_track.active_user_count,
        0 as new_user_count,
        by_track.retained_user_count,
        by_track.previous_user_count
    from by_track
    inner join track_names on by_track.track_key = track_names.track_key
    {% for type in period_types() %}
        union all
        select
            '{{ type }}' as period_type,
            {{ period_start(type, 'first_date') }} as period_start,
            product,
            country,
            0 as active_user_count,
            new_user_count,
            0 as retained_user_count,
            0 as previous_user_count
        from first_days
    {% endfor %}
),

final as (
    select
        period_type,
        period_start,
        product,
        country,
        cast(sum(active_user_count) as bigint) as active_user_count,
        cast(sum(new_user_count) as bigint) as new_user_count,
        cast(sum(retained_user_count) as bigint) as retained_user_count,
        cast(sum(active_user_count - new_user_count - retained_user_count) as bigint) as resurrected_user_count,
        cast(sum(previous_user_count - retained_user_count) as bigint) as churned_user_count
    from expanded
    where
        period_start <= (select newest.newest_date from newest)
        {% if is_incremental() %}
            and {{ changed_and_next_periods() }}
        {% endif %}
    group by period_type, period_start, product, country
)

select * from final
