-- Grain: one row per product (or `all`) with a user in the last 28 days, and share of the users; as of the newest day.
-- See docs/metrics.md#concentration. Users with as many events as each other are counted together: who of them is among
-- the top does not change the events.
with newest as (
    select period_start as as_of_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'day' and period_start = newest_date
),

levels as (
    select
        product,
        event_count,
        count(*) as user_count
    from {{ ref('int_engagement__recent_activity') }}
    group by product, event_count
),

ranked as (
    select
        *,
        sum(user_count) over (partition by product) as all_user_count,
        sum(user_count * event_count) over (partition by product) as all_event_count,
        sum(user_count) over (partition by product order by event_count desc) - user_count as user_count_above
    from levels
),

percents as (
    {% for percent in [1, 5, 10, 20] %}
        select {{ percent }} as top_percent
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

counts as (
    select
        ranked.product,
        percents.top_percent,
        min(ranked.all_event_count) as all_event_count,
        -- the number of users is rounded up
        sum(
            ranked.event_count * least(
                ranked.user_count,
                greatest(ceil(ranked.all_user_count * percents.top_percent / 100.0) - ranked.user_count_above, 0)
            )
        ) as event_count
    from ranked
    cross join percents
    group by ranked.product, percents.top_percent
    union all
    select
        'all' as product,
        top_percent,
        0 as all_event_count,
        0 as event_count
    from percents
    where not exists (select 1 from levels)
),

final as (
    select
        newest.as_of_date,
        counts.product,
        counts.top_percent,
        cast(counts.event_count as bigint) as event_count,
        cast(counts.event_count as numeric) / nullif(counts.all_event_count, 0) as event_rate
    from counts
    cross join newest
)

select * from final
