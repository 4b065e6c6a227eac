-- Grain: one row per identity, user and product that the user ever had (and `all`). See docs/metrics.md#user-lifetimes.
-- The score compares users who were active in the last 28 days: mean of three percent ranks, in whole numbers until the
-- one division.
{% set features = ['active_day_count', 'event_count', 'event_type_count'] %}
with tracks as (
    select * from {{ ref('int_engagement__user_tracks') }}
    where country = 'all'
),

user_keys as (select * from {{ ref('int_engagement__user_keys') }}),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

recent as (select * from {{ ref('int_engagement__recent_activity') }}),

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

-- a type of event that several products share counts once in all of them
total_event_types as (
    select
        user_key,
        event_type
    from event_types
    group by user_key, event_type
),

event_type_counts as (
    select
        user_key,
        product,
        count(*) as event_type_count
    from event_types
    group by user_key, product
    union all
    select
        user_key,
        'all' as product,
        count(*) as event_type_count
    from total_event_types
    group by user_key
),

features as (
    select
        recent.user_key,
        recent.product,
        recent.active_day_count,
        recent.event_count,
        coalesce(event_type_counts.event_type_count, 0) as event_type_count
    from recent
    left join event_type_counts
        on recent.user_key = event_type_counts.user_key and recent.product = event_type_counts.product
),

ranks as (
    select
        user_key,
        product,
        {% for feature in features %}
            rank() over (partition by product order by {{ feature }}) - 1{{ ' +' if not loop.last }}
        {% endfor %}
            as rank_sum,
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
