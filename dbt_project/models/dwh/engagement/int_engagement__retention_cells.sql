{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_cells'},
    indexes=[{'columns': ['period_type', 'period_start']}],
    pre_hook='set local enable_sort = off',
) }}
-- Grain: one row per cohort (week or month of the first event), later period of the same type with a user of it active,
-- and product or country (the other is `all`).
-- A changed day changes the cells of its own period; a first day that moved, whole cohorts. Users are counted by first
-- day, and days added up to weeks and months: few rows, which the planner does not see; it would sort all windows.
{% set moved = moved_days() %}
with months as (
    {{ window_months() }}
),

track_names as (
    {{ track_names() }}
),

windows as (
    select
        user_windows.month_start,
        user_windows.user_key,
        user_windows.track_key,
        user_windows.only_product_key,
        user_windows.only_country_key,
        -- the seven lowest bits are the first week that ends in the month
        user_windows.window_bits >> ({{ first_day_bit() }} - 6 + months.sunday_place) as weeks,
        user_windows.window_bits >> {{ first_day_bit() }} as day_bits
    from {{ ref('int_engagement__user_windows') }} as user_windows
    inner join months on user_windows.month_start = months.month_start
    {% if is_incremental() %}
        where
            user_windows.month_start in ({{ window_months_of(pending_days(event_feeds())) }})
            or user_windows.month_start >= {{ periods_of('month', [moved | min] if moved else []) }}
    {% endif %}
),

by_track as (
    {{ rows_of_tracks('windows', 'month_start, user_key, weeks, day_bits') }}
),

tracks as (
    select
        tracks.user_key,
        tracks.first_date,
        track_names.track_key
    from {{ ref('int_engagement__user_tracks') }} as tracks
    inner join track_names on tracks.product = track_names.product and tracks.country = track_names.country
),

tallies as (
    select
        by_track.month_start,
        by_track.track_key,
        tracks.first_date,
        {% for week in range(1, 6) %}
            {{ users_with('by_track.weeks', 127 * 2 ** (7 * week - 7)) }} as week_{{ week }},
        {% endfor %}
        count(*) filter (where by_track.day_bits > 0) as this_month
    from by_track
    inner join tracks on by_track.user_key = tracks.user_key and by_track.track_key = tracks.track_key
    group by by_track.month_start, by_track.track_key, tracks.first_date
),

counts as (
    select
        period_counts.period_type,
        period_counts.cohort_start,
        period_counts.period_start,
        track_names.product,
        track_names.country,
        period_counts.user_count
    from tallies
    inner join months on tallies.month_start = months.month_start
    inner join track_names on tallies.track_key = track_names.track_key
    cross join {{ periods_of_months('months', ['cohort_start', 'user_count'], {
        'week': [week_start('tallies.first_date'), 'tallies.week_#'],
        'month': [month_start('tallies.first_date'), 'tallies.this_month'],
    }) }}
    where period_counts.user_count > 0
),

final as (
    select
        period_type,
        cohort_start,
        period_start,
        product,
        country,
        cast(sum(user_count) as bigint) as user_count
    from counts
    {% if is_incremental() %}
        where {{ changed_cells() }}
    {% endif %}
    group by period_type, cohort_start, period_start, product, country
)

select * from final
