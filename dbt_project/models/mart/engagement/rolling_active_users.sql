-- Grain: one row per day of the span and product (`all`: every day, quiet ones 0; a product: while anyone was active in
-- the 30 days that end on it). See docs/metrics.md#rolling-active-users.
with days as (
    select
        period_start as as_of_date,
        first_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'day'
),

rolling as (select * from {{ ref('fct_rolling_active_users') }}),

rows_to_show as (
    select
        as_of_date,
        product
    from rolling
    union
    select
        as_of_date,
        'all' as product
    from days
),

counts as (
    select
        days.as_of_date,
        days.first_date,
        rows_to_show.product,
        {% for window in [1, 7, 28, 30] %}
            coalesce(rolling.active_users_{{ window }}d, 0) as active_users_{{ window }}d{{ ',' if not loop.last }}
        {% endfor %}
    from rows_to_show
    inner join days on rows_to_show.as_of_date = days.as_of_date
    left join rolling on rows_to_show.as_of_date = rolling.as_of_date and rows_to_show.product = rolling.product
),

final as (
    select
        as_of_date,
        product,
        active_users_1d,
        active_users_7d,
        active_users_28d,
        active_users_30d,
        {% for window in [7, 28, 30] %}
            cast(active_users_1d as numeric) / nullif(active_users_{{ window }}d, 0) as stickiness_{{ window }}d,
        {% endfor %}
        as_of_date - 27 >= first_date as is_complete_window_28d,
        as_of_date - 29 >= first_date as is_complete_window_30d
    from counts
)

select * from final
