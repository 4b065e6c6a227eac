-- Grain: one row per channel that any session has; an open set that grows from the data.
with activity as (select * from {{ ref('fct_channel_activity_daily') }}),

final as (
    select
        channel,
        min(activity_date) as first_session_date,
        max(activity_date) as last_session_date
    from activity
    group by channel
)

select * from final
