{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_windows', 'last_day': 'max(as_of_date)'},
    indexes=[{'columns': ['as_of_date']}],
) }}
-- Grain: one row per day of the span and product (or `all`) with an active user in the 30 days that end on it.
-- The bits of a user's days, each spread over the N days that see it, are the days whose N-day window holds the user.
{% set windows = [1, 7, 28, 30] %}
{% set names = [] %}
{% set figures = [] %}
{% for window in windows %}{% do names.append('active_users_' ~ window ~ 'd') %}{% endfor %}
{% for window in windows %}{% do figures.append('tallies.day_#_' ~ window) %}{% endfor %}
with months as (
    {{ window_months() }}
),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

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

{% for shorter, longer, shifts in window_steps() %}
    spread_{{ longer }} as (
        select
            *,
            {{ spread('days_' ~ shorter, shifts) }} as days_{{ longer }}
        from spread_{{ shorter }}
        {{ computed_once() }}
    ),
{% endfor %}

tallies as (
    select
        month_start,
        track_key,
        only_product_key,
        {% for day in range(1, 32) %}
            {% for window in windows %}
                {{ users_with('days_' ~ window, 2 ** (first_day_bit() + day - 1)) }} as day_{{ day }}_{{ window }},
            {% endfor %}
        {% endfor %}
        cast(null as integer) as only_country_key
    from spread_30
    group by month_start, track_key, only_product_key
),

counts as (
    select
        period_counts.*,
        tallies.track_key,
        tallies.only_product_key,
        tallies.only_country_key
    from tallies
    inner join months on tallies.month_start = months.month_start
    cross join {{ periods_of_months('months', names, {'day': figures}) }}
    where period_counts.active_users_30d > 0
),

by_track as (
    {{ rows_of_tracks('counts', 'period_start as as_of_date, ' ~ names | join(', ')) }}
),

final as (
    select
        by_track.as_of_date,
        track_names.product,
        {{ sums_of(names) }}
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
