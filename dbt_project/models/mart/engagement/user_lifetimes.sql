-- Grain: one row per identity, user and product that the user ever had (and `all`). See docs/metrics.md#user-lifetimes.
-- The score compares users who were active in the last 28 days: mean of three percent ranks, in whole numbers until the
-- one division.
with tracks as (
    select * from {{ ref('int_engagement__user_tracks') }}
    where country = 'all'
),

user_keys as (select * from {{ ref('int_engagement__user_keys') }}),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

days as (
    select
        activity.user_key,
        slices.product,
        activity.activity_date,
        sum(activity.event_count) as event_count
    from {{ ref('fct_user_activity_daily') }} as activity
    inner join {{ ref('int_engagement__slices') }} as slices on activity.slice_key = slices.slice_key
    where activity.activity_date > (select newest.newest_date - 28 from newest)
    group by activity.user_key, slices.product, activity.activity_date
),

event_types as (
    select
        user_key,
        product,
        event_type
    from {{ ref('fct_events') }}
    where
        occurred_date > (select newest.newest_date - 28 from newest)
        and user_key is not null
        and event_type is not null
    group by user_key, product, event_type
),

-- once by product, once for all: a day and a type of event that several products share count once
product_days as (
    select
        user_key,
        product,
        activity_date,
        sum(event_count) as event_count
    from (
        select * from days
        union all
        select
            user_key,
            'all' as product,
            activity_date,
            event_count
        from days
    ) as tracked
    group by user_key, product, activity_date
),

product_event_types as (
    select * from event_types
    union
    select
        user_key,
        'all' as product,
        event_type
    from event_types
),

day_counts as (
    select
        user_key,
        product,
        count(*) as active_day_count,
        sum(event_count) as event_count
    from product_days
    group by user_key, product
),

event_type_counts as (
    select
        user_key,
        product,
        count(*) as event_type_count
    from product_event_types
    group by user_key, product
),

features as (
    select
        day_counts.user_key,
        day_counts.product,
        day_counts.active_day_count,
        day_counts.event_count,
        coalesce(event_type_counts.event_type_count, 0) as event_type_count
    from day_counts
    left join event_type_counts
        on day_counts.user_key = event_type_counts.user_key and day_counts.product = event_type_counts.product
),

ranks as (
    select
        user_key,
        product,
        rank() over (partition by product order by active_day_count)
        + rank() over (partition by product order by event_count)
        + rank() over (partition by product order by event_type_count) - 3 as rank_sum,
        count(*) over (partition by product) - 1 as others_count
    from features
),

final as (
    select
        tracks.product,
        user_keys.identity,
        user_keys.user_id,
        tracks.first_date as first_event_date,
        tracks.last_date as last_event_date,
        tracks.active_day_count,
        tracks.event_count,
        tracks.amount_total,
        case
            when ranks.others_count > 0 then cast(100 * ranks.rank_sum as numeric) / (3 * ranks.others_count)
            when ranks.others_count = 0 then cast(0 as numeric)
        end as engagement_score
    from tracks
    inner join user_keys on tracks.user_key = user_keys.user_key
    left join ranks on tracks.user_key = ranks.user_key and tracks.product = ranks.product
)

select * from final
