{# A payment id that came with several contents: each is a payment of its own, and revenue has them all. #}
{{ config(tags=['warning', 'dwh', 'subscription'], severity='warn') }}
select
    payment_id,
    count(*) as content_count
from {{ ref('fct_payments') }}
where payment_id is not null
group by payment_id
having count(*) > 1
