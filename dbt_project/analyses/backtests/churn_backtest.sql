-- Every user as of a day in the past, by what was known then, and whether the user was active in the 28 days after it.
-- `growth backtest churn` runs it; elsewhere, first: set growth.as_of = '2024-02-01'.
{% set as_of = "cast(current_setting('growth.as_of') as date)" %}
with tracked as (
    select
        activity.user_key,
        slices.product,
        activity.activity_date
    from {{ ref('fct_user_activity_daily') }} as activity
    inner join {{ ref('int_engagement__slices') }} as slices on activity.slice_key = slices.slice_key
),

earlier as (
    select * from tracked
    where activity_date <= {{ as_of }}
),

products as (
    select
        user_key,
        count(distinct product) as product_count
    from earlier
    group by user_key
),

earlier_lives as (
    select
        user_key,
        coalesce(product, 'all') as product,
        min(activity_date) as first_date,
        max(activity_date) as last_date,
        cast(count(distinct activity_date) as integer) as active_day_count
    from earlier
    group by grouping sets ((user_key), (user_key, product))
),

lives as (
    select
        earlier_lives.*,
        products.product_count
    from earlier_lives
    inner join products on earlier_lives.user_key = products.user_key
),

recent as (
    {{ recent_activity(as_of) }}
),

risks as (
    {{ churn_risk('lives', 'recent', as_of) }}
),

returned as (
    select
        user_key,
        product
    from tracked
    where activity_date > {{ as_of }} and activity_date <= {{ as_of }} + 28
    union
    select
        user_key,
        'all' as product
    from tracked
    where activity_date > {{ as_of }} and activity_date <= {{ as_of }} + 28
)

select
    risks.*,
    returned.user_key is null as is_churned
from risks
left join returned on risks.user_key = returned.user_key and risks.product = returned.product
