{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_windows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['month_start', 'user_key']}],
    pre_hook='set local enable_mergejoin = off',
) }}
-- Grain: one row per calendar month, user and track with an active day in the month or in the 31 days before it.
-- window_bits are the days of both: bit 31 is the first day of the month, bit 30 the day before it. What looks back by
-- at most a month (a day before, a week, windows of 30 days) is arithmetic on the bits of one row: no user-day is
-- sorted or joined. Tracks are all activity, that of one product, that of one country; a user whose row has one product
-- has none for it beside (only_product_key), likewise for countries. rebuild_user_windows builds changed users anew.
-- The planner takes the users with several products for few of a handful, and would sort all windows to find theirs.
{% set changed = pending_days(event_feeds()) %}
with slices as (
    {{ slices_by_key() }}
),

changed_keys as (
    {{ changed_user_keys() }}
),

months as (
    select
        user_slices.month_start,
        {{ months_later('user_slices.month_start', 1) }} as next_start,
        {{ months_later('user_slices.month_start', 2) }} as second_start,
        user_slices.user_key,
        slices.product_key,
        -slices.country_key as country_key,
        cast(bit_or(user_slices.day_bits) as bigint) as day_bits
    from {{ ref('int_engagement__user_slices') }} as user_slices
    inner join slices on user_slices.slice_key = slices.slice_key
    {% if is_incremental() %}
        where
            user_slices.month_start in ({{ periods_of('month', changed, [-2, -1, 0, 1, 2]) }})
            and user_slices.user_key in (select changed_keys.user_key from changed_keys)
    {% endif %}
    group by user_slices.month_start, user_slices.user_key, slices.product_key, slices.country_key
),

-- the days of a month are those before the next, and its last one of those before the month after a short February
windows as (
    select
        month_start,
        user_key,
        product_key,
        country_key,
        day_bits << 31 as window_bits
    from months
    union all
    select
        next_start as month_start,
        user_key,
        product_key,
        country_key,
        day_bits << (31 - (next_start - month_start)) as window_bits
    from months
    union all
    select
        second_start as month_start,
        user_key,
        product_key,
        country_key,
        day_bits >> (31 - 3) as window_bits
    from months
    where second_start - next_start = 28 and day_bits >> (31 - 3) > 0
),

users as (
    select
        month_start,
        user_key,
        min(product_key) as least_product_key,
        max(product_key) as greatest_product_key,
        min(country_key) as least_country_key,
        max(country_key) as greatest_country_key,
        bit_or(window_bits) as window_bits
    from windows
    {% if is_incremental() %}
        where month_start in ({{ periods_of('month', changed, [0, 1, 2]) }})
    {% endif %}
    group by month_start, user_key
),

final as (
    select
        month_start,
        user_key,
        0 as track_key,
        case when least_product_key = greatest_product_key then least_product_key end as only_product_key,
        case when least_country_key = greatest_country_key then least_country_key end as only_country_key,
        window_bits
    from users
    {% for track in ['product', 'country'] %}
        union all
        select
            windows.month_start,
            windows.user_key,
            windows.{{ track }}_key as track_key,
            cast(null as integer) as only_product_key,
            cast(null as integer) as only_country_key,
            bit_or(windows.window_bits) as window_bits
        from windows
        inner join users
            on
                windows.month_start = users.month_start
                and windows.user_key = users.user_key
                and users.least_{{ track }}_key < users.greatest_{{ track }}_key
        group by windows.month_start, windows.user_key, windows.{{ track }}_key
    {% endfor %}
)

select * from final
