-- Grain: one row per as-of day (each month end, and the newest day), product (or `all`) and number of active days, 1 to
-- 28, in the 28 days that end on it. See docs/metrics.md#power-users.
with curves as (select * from {{ ref('int_engagement__power_users') }}),

as_of_dates as (
    select period_start as as_of_date
    from {{ ref('int_engagement__periods') }}
    where
        period_type = 'day'
        and (period_start = newest_date or {{ months_later(month_start('period_start'), 1) }} = period_start + 1)
),

products as (
    select
        as_of_date,
        product
    from curves
    union
    select
        as_of_date,
        'all' as product
    from as_of_dates
),

numbers as (
    {% for number in range(1, 29) %}
        select {{ number }} as active_day_count
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        products.as_of_date,
        products.product,
        numbers.active_day_count,
        coalesce(curves.user_count, 0) as user_count,
        cast(coalesce(curves.user_count, 0) as numeric)
        / nullif(sum(curves.user_count) over (partition by products.as_of_date, products.product), 0) as user_rate
    from products
    inner join as_of_dates on products.as_of_date = as_of_dates.as_of_date
    cross join numbers
    left join curves
        on
            products.as_of_date = curves.as_of_date
            and products.product = curves.product
            and numbers.active_day_count = curves.active_day_count
)

select * from final
