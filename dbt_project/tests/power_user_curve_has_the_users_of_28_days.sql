{# The users of a curve are those that were active in its 28 days. #}
{{ config(tags=['critical', 'mart']) }}
with curves as (
    select as_of_date, product, sum(user_count) as user_count from {{ ref('power_user_curve') }}
    group by as_of_date, product
)
select curves.*, rolling.active_users_28d from curves
left join {{ ref('rolling_active_users') }} as rolling
    on curves.as_of_date = rolling.as_of_date and curves.product = rolling.product
where curves.user_count <> coalesce(rolling.active_users_28d, 0)
