{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_windows', 'last_day': 'max(as_of_date)'},
    indexes=[{'columns': ['as_of_date']}],
) }}
-- Grain: one row per day of the span and product (or `all`) with an active user in the 30 days that end on it.
-- The bits of a user's days, each spread over the N days that see it, are the days whose N-day window holds the user.
{% set windows = [1, 7, 28, 30] %}
with newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

track_names as (
    {{ track_names() }}
),

spread_1 as (
    select
        month_start,
        track_key,
        only_product_key,
        window_bits as days_1
    from {{ ref('int_engagement__user_windows') }}
    where
        track_key >= 0
        and month_start <= (select newest.newest_date from newest)
        {% if is_incremental() %}
            and month_start in ({{ periods_of('month', days_to_rebuild(), [0, 1, 2]) }})
        {% endif %}
),

-- `offset 0`: what a step computes is read many times by the next; written out, it would be computed as often
{% for shorter, longer, shifts in window_steps() %}
    spread_{{ longer }} as (
        select
            *,
            days_{{ shorter }}
            {%- for shift in shifts %} | (days_{{ shorter }} << {{ shift }}){% endfor %} as days_{{ longer }}
        from spread_{{ shorter }}
        offset 0
    ),
{% endfor %}

tallies as (
    select
        month_start,
        track_key,
        only_product_key,
        cast(null as integer) as only_country_key
        {% for day in range(31) %}
            {% for window in windows %}
                , count(*) filter (where days_{{ window }} & {{ 2 ** (first_day_bit() + day) }} > 0) as day_{{ day }}_{{ window }}
            {% endfor %}
        {% endfor %}
    from spread_30
    group by month_start, track_key, only_product_key
),

counts as (
    select
        day_counts.*,
        tallies.track_key,
        tallies.only_product_key,
        tallies.only_country_key
    from tallies
    cross join lateral (
        values
        {% for day in range(31) %}
            (
                tallies.month_start + {{ day }}
                {% for window in windows %}, tallies.day_{{ day }}_{{ window }}{% endfor %}
            ){{ ',' if not loop.last }}
        {% endfor %}
    ) as day_counts (as_of_date{% for window in windows %}, active_users_{{ window }}d{% endfor %})
    where
        day_counts.as_of_date < {{ months_later('tallies.month_start', 1) }}
        and day_counts.active_users_30d > 0
),

by_track as (
    {{ rows_of_tracks('counts', 'as_of_date, active_users_1d, active_users_7d, active_users_28d, active_users_30d') }}
),

final as (
    select
        by_track.as_of_date,
        track_names.product,
        {% for window in windows %}
            cast(sum(by_track.active_users_{{ window }}d) as bigint) as active_users_{{ window }}d{{ ',' if not loop.last }}
        {% endfor %}
    from by_track
    inner join track_names on by_track.track_key = track_names.track_key
    where
        by_track.as_of_date <= (select newest.newest_date from newest)
        {% if is_incremental() %}
            and {{ changed_windows() }}
        {% endif %}
    group by by_track.as_of_date, track_names.product
)

select * from final
