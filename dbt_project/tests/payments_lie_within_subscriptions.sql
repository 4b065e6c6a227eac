{# Of the payments, refunds apart, at most a share of var unmatched_max_rate lies on no day of a subscription. #}
{{ config(tags=['warning', 'dwh', 'subscription'], severity='warn') }}
with subscriptions as (
    select * from {{ ref('dim_subscriptions_by_check') }}
    where is_current
),

payments as (
    select * from {{ ref('fct_payments') }}
    where amount > 0
),

outside as (
    select payments.payment_id from payments
    where not exists (
        select 1 from subscriptions
        where
            payments.user_id = subscriptions.user_id
            and payments.payment_date >= subscriptions.start_date
            and (subscriptions.end_date is null or payments.payment_date < subscriptions.end_date)
    )
),

counts as (
    select
        (select count(*) from payments) as payment_count,
        (select count(*) from outside) as outside_count
)

select
    payment_count,
    outside_count
from counts
where outside_count > {{ var('unmatched_max_rate') }} * payment_count
