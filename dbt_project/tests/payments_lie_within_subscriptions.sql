{# Of the payments, refunds apart, at most a share of var unmatched_max_rate lies on no day of a subscription. #}
{{ config(tags=['warning', 'dwh', 'subscription'], severity='warn') }}
with payments as (
    select not exists (
        select 1 from {{ ref('dim_subscriptions_by_check') }} as subscriptions
        where
            subscriptions.is_current
            and subscriptions.user_id = payments.user_id
            and subscriptions.start_date <= payments.payment_date
            and (subscriptions.end_date is null or subscriptions.end_date > payments.payment_date)
    ) as is_outside
    from {{ ref('fct_payments') }} as payments
    where payments.amount > 0
)

select
    count(*) as payment_count,
    sum(case when is_outside then 1 else 0 end) as outside_count
from payments
having sum(case when is_outside then 1 else 0 end) > {{ var('unmatched_max_rate') }} * count(*)
