-- Grain: one row per user of the subscriptions: who paid, watched, subscribed, or stood in any extract. Only payments
-- and viewing say when that was.
with sightings as (
    select
        user_id,
        payment_date as first_date,
        payment_date as last_date
    from {{ ref('fct_payments') }}
    where user_id is not null
    union all
    select
        user_id,
        first_watch_date as first_date,
        last_watch_date as last_date
    from {{ ref('int_subscription__viewing_months') }}
    union all
    select
        user_id,
        cast(null as date) as first_date,
        cast(null as date) as last_date
    from {{ ref('dim_subscribers') }}
    union all
    select
        user_id,
        cast(null as date) as first_date,
        cast(null as date) as last_date
    from {{ ref('dim_subscriptions_by_check') }}
),

final as (
    select
        '{{ feed_contract('subscribers').identity }}' as identity,
        user_id,
        min(first_date) as first_date,
        max(last_date) as last_date
    from sightings
    group by user_id
)

select * from final
