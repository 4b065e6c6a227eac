{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_cells'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per cohort (week or month of the first event), later period of the same type with a user of it active,
-- and product or country (the other is `all`).
-- A changed day changes the cells of its own period; a first day that moved, whole cohorts. Users are counted by first
-- day, and days added up to weeks and months.
{% set moved = moved_days() %}
{% set week_numbers = range(5) %}
with months as (
    {{ window_months() }}
),

track_names as (
    {{ track_names() }}
),

windows as (
    select
        windows.month_start,
        windows.user_key,
        windows.track_key,
        windows.only_product_key,
        windows.only_country_key,
        -- the seven lowest bits are the first week that ends in the month
        windows.window_bits >> ({{ first_day_bit() }} - 6 + months.sunday_place) as weeks,
        windows.window_bits >> {{ first_day_bit() }} as days
    from {{ ref('int_engagement__user_windows') }} as windows
    inner join months on windows.month_start = months.month_start
    {% if is_incremental() %}
        where
            windows.month_start in ({{ window_months_of(pending_days(event_feeds())) }})
            or windows.month_start >= {{ periods_of('month', [moved | min] if moved else []) }}
    {% endif %}
),

by_track as (
    {{ rows_of_tracks('windows', 'month_start, user_key, weeks, days') }}
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
        {% for week in week_numbers %}
            {{ users_with('by_track.weeks', 127 * 2 ** (7 * week)) }} as week_{{ week }},
        {% endfor %}
        count(*) filter (where by_track.days > 0) as this_month
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
    cross join lateral (
        values
        {% for week in week_numbers %}
            (
                'week', {{ week_start('tallies.first_date') }},
                months.month_start + months.sunday_place + {{ 7 * week - 6 }},
                months.month_start + months.sunday_place + {{ 7 * week }}, tallies.week_{{ week }}
            ),
        {% endfor %}
        ('month', {{ month_start('tallies.first_date') }}, months.month_start, months.month_start, tallies.this_month)
    ) as period_counts (period_type, cohort_start, period_start, end_date, user_count)
    where period_counts.end_date < months.next_start and period_counts.user_count > 0
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
