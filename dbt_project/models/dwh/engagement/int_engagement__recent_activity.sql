-- Grain: one row per user active in the 28 days that end on the newest one, and product of these (and `all`).
with recent as (
    {{ recent_activity('(select max(activity_date) from ' ~ ref('fct_activity_daily') ~ ')') }}
),

final as (
    select
        user_key,
        product,
        cast(active_day_count as integer) as active_day_count,
        cast(event_count as bigint) as event_count,
        cast(event_count_7d as bigint) as event_count_7d
    from recent
)

select * from final
