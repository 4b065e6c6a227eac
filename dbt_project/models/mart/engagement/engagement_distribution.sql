-- Grain: one row per product (or `all`) and segment (or `all`) with a user in the last 28 days, and tenth of the
-- engagement score; as of the newest day. See docs/metrics.md#engagement-score.
with newest as (
    select period_start as as_of_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'day' and period_start = newest_date
),

accounts as (
    select
        identity,
        user_id,
        user_segment
    from {{ ref('dim_app_users') }}
    where is_current
),

scores as (
    select
        lifetimes.product,
        coalesce(accounts.user_segment, '(none)') as user_segment,
        cast(least(floor(lifetimes.engagement_score / 10), 9) as integer) as score_bucket,
        count(*) as user_count
    from {{ ref('user_lifetimes') }} as lifetimes
    left join accounts on lifetimes.identity = accounts.identity and lifetimes.user_id = accounts.user_id
    where lifetimes.engagement_score is not null
    group by
        lifetimes.product, coalesce(accounts.user_segment, '(none)'), least(floor(lifetimes.engagement_score / 10), 9)
),

counts as (
    select
        product,
        coalesce(user_segment, 'all') as user_segment,
        score_bucket,
        cast(sum(user_count) as bigint) as user_count
    from scores
    group by grouping sets ((product, score_bucket), (product, user_segment, score_bucket))
),

groups as (
    select
        product,
        user_segment
    from counts
    union
    select
        'all' as product,
        'all' as user_segment
    from newest
),

buckets as (
    {% for bucket in range(10) %}
        select {{ bucket }} as score_bucket
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        newest.as_of_date,
        groups.product,
        groups.user_segment,
        buckets.score_bucket,
        coalesce(counts.user_count, 0) as user_count
    from groups
    cross join newest
    cross join buckets
    left join counts
        on
            groups.product = counts.product
            and groups.user_segment = counts.user_segment
            and buckets.score_bucket = counts.score_bucket
)

select * from final
