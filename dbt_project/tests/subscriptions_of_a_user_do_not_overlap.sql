{# A user has one subscription at a time, as the newest extract has it, and none ends before it starts. #}
{{ config(tags=['warning', 'dwh', 'subscription'], severity='warn') }}
with subscriptions as (
    select
        subscription_id,
        user_id,
        start_date,
        end_date,
        lead(start_date) over (partition by user_id order by start_date, subscription_id) as next_start_date
    from {{ ref('dim_subscriptions_by_check') }}
    where is_current
)

select * from subscriptions
where end_date < start_date or next_start_date < coalesce(end_date, date 'infinity')
