-- Grain: one row per product (app) that any event has; grows from the data.
with activity as (select * from {{ ref('fct_activity_daily') }}),

final as (
    select
        product,
        min(activity_date) as first_event_date,
        max(activity_date) as last_event_date
    from activity
    group by product
)

select * from final
