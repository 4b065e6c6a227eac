{{ config(tags=['shared']) }}
-- Grain: one row per country that any event, account or subscriber has; grows from the data.
with events as (
    select country from {{ ref('fct_activity_daily') }}
    where country <> '(none)'
),

accounts as (
    select country from {{ ref('dim_app_users') }}
    where country is not null
),

subscribers as (
    select country from {{ ref('dim_subscribers') }}
    where country is not null
),

final as (
    select country from events
    union
    select country from accounts
    union
    select country from subscribers
)

select * from final
