{{ require_one_identity(['subscribers', 'subscriptions', 'payments', 'viewing_activity']) }}
-- Grain: one row per payment: exact copies, within and across files, collapse to one; another content under the same id
-- is another row (warned of, not merged). The day is part of the deduplication, so that one day can be read alone.
with source as (select * from {{ source('subscription', 'payments') }}),

final as (
    select distinct
        payment_date,
        {{ clean_text('payment_id') }} as payment_id,
        {{ clean_text('user_id') }} as user_id,
        {{ plain_number('amount') }} as amount,
        coalesce(upper({{ clean_text('currency_code') }}), '{{ feed_contract('payments').currency }}') as currency_code
    from source
)

select * from final
