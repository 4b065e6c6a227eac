-- Grain: one row per currency of any payment; that of the contract as long as there is none.
with payments as (
    select currency_code from {{ ref('fct_payments') }}
    group by currency_code
),

final as (
    select currency_code from payments
    union all
    select '{{ feed_contract('payments').currency }}' as currency_code
    where not exists (select 1 from payments)
)

select * from final
