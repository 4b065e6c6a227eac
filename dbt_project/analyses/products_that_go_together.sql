-- Which products are used together in the newest month, and which could lead to which?
select
    product_a,
    product_b,
    user_count,
    round(rate_of_a, 3) as rate_of_a,
    round(rate_of_b, 3) as rate_of_b
from mart.product_overlap
where period_start = (select max(overlap.period_start) from mart.product_overlap as overlap)
order by user_count desc, product_a asc, product_b asc
