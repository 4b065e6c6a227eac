{{ config(pre_hook='set local parallel_tuple_cost = 0.01') }}
-- Grain: one row per identity, user and product that the user ever had (and `all`), as of the newest day. See
-- docs/metrics.md#churn-risk.
-- Several workers read and join: the tracks are read twice because what is shared is read by one, and the planner takes
-- handing on so many rows for dearer than it is.
with product_counts as (
    select
        user_key,
        -- the row of all products is none of them
        count(*) - 1 as product_count
    from {{ ref('int_engagement__user_tracks') }}
    where country = 'all'
    group by user_key
),

tracks as (
    select
        all_tracks.*,
        product_counts.product_count
    from {{ ref('int_engagement__user_tracks') }} as all_tracks
    inner join product_counts on all_tracks.user_key = product_counts.user_key
    where all_tracks.country = 'all'
),

recent as (select * from {{ ref('int_engagement__recent_activity') }}),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

risks as (
    {{ churn_risk('tracks', 'recent', '(select newest.newest_date from newest)') }}
),

final as (
    select
        risks.product,
        user_keys.identity,
        user_keys.user_id,
        newest.newest_date as as_of_date,
        risks.recency_days,
        risks.frequency_28d,
        risks.event_count_7d,
        risks.event_count_28d,
        risks.event_count_ratio,
        risks.tenure_days,
        risks.active_day_count,
        cast(risks.product_count as integer) as product_count,
        risks.missed_day_count,
        risks.churn_risk_score,
        risks.churn_risk_band
    from risks
    inner join {{ ref('int_engagement__user_keys') }} as user_keys on risks.user_key = user_keys.user_key
    cross join newest
)

select * from final
