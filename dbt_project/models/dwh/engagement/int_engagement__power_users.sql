{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_curves'},
    indexes=[{'columns': ['as_of_date']}],
) }}
-- Grain: one row per as-of day (each month end of the span, and its newest day), product (or `all`) and number of
-- active days in the 28 days that end on it, with such a user.
with dates as (
    select
        period_start as calendar_date,
        {{ month_start('period_start') }} as month_start,
        newest_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'day'
),

track_names as (
    {{ track_names() }}
),

as_of_dates as (
    select
        dates.calendar_date as as_of_date,
        dates.month_start,
        -- the bit of the first of the 28 days
        {{ first_day_bit() }} + dates.calendar_date - dates.month_start - 27 as first_bit
    from dates
    where
        (
            dates.calendar_date = dates.newest_date
            or {{ months_later('dates.month_start', 1) }} = dates.calendar_date + 1
        )
        {% if is_incremental() %}
            and {{ changed_curves('dates.calendar_date') }}
        {% endif %}
),

users as (
    select
        as_of_dates.as_of_date,
        windows.track_key,
        windows.only_product_key,
        {{ day_count('(windows.window_bits >> as_of_dates.first_bit) & ' ~ (2 ** 28 - 1)) }} as active_day_count
    from {{ ref('int_engagement__user_windows') }} as windows
    inner join as_of_dates on windows.month_start = as_of_dates.month_start
    where windows.track_key >= 0
),

counts as (
    select
        as_of_date,
        track_key,
        only_product_key,
        cast(null as integer) as only_country_key,
        active_day_count,
        count(*) as user_count
    from users
    where active_day_count > 0
    group by as_of_date, track_key, only_product_key, active_day_count
),

by_track as (
    {{ rows_of_tracks('counts', 'as_of_date, active_day_count, user_count') }}
),

final as (
    select
        by_track.as_of_date,
        track_names.product,
        cast(by_track.active_day_count as integer) as active_day_count,
        cast(sum(by_track.user_count) as bigint) as user_count
    from by_track
    inner join track_names on by_track.track_key = track_names.track_key
    group by by_track.as_of_date, track_names.product, by_track.active_day_count
)

select * from final
