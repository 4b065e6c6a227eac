-- Grain: one row per product and type of event that any event has; grows from the data.
with activity as (select * from {{ ref('fct_activity_daily') }}),

final as (
    select
        product,
        event_type,
        min(activity_date) as first_event_date,
        max(activity_date) as last_event_date,
        cast(sum(event_count) as bigint) as event_count
    from activity
    group by product, event_type
)

select * from final
