{{ config(
    materialized='incremental', incremental_strategy='rebuild_days', on_schema_change='fail',
    meta={'feeds': ['payments'], 'day_column': 'payment_date'},
    indexes=[{'columns': ['payment_date']}],
) }}
-- Grain: one row per payment; a negative amount is a refund.
-- rebuild_days deletes every changed day and inserts it again whole, so it equals a full refresh.
with payments as (select * from {{ ref('stg_subscription__payments') }}),

final as (
    select
        payment_date,
        payment_id,
        '{{ feed_contract('payments').identity }}' as identity,
        user_id,
        amount,
        currency_code
    from payments
    {% if is_incremental() %}
        where payment_date in ({{ changed_days(['payments']) }})
    {% endif %}
)

select * from final
