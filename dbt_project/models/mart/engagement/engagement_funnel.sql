-- Grain: one row per product whose funnel anyone began, and step of it. See docs/metrics.md#funnels.
with steps as (
    select
        {{ slice_text('product') }} as product,
        step_number,
        {{ clean_text('step_name') }} as step_name,
        row_number() over (partition by {{ slice_text('product') }} order by step_number) as place
    from {{ ref('funnel_steps') }}
),

reached as (
    select
        product,
        step_number as place,
        count(*) as user_count,
        {{ hours('percentile_cont(0.5) within group (order by microseconds_from_previous)') }}
            as median_hours_from_previous
    from {{ ref('int_engagement__funnel_users') }}
    group by product, step_number
),

final as (
    select
        steps.product,
        steps.step_number,
        steps.step_name,
        coalesce(reached.user_count, 0) as user_count,
        cast(coalesce(reached.user_count, 0) as numeric)
        / nullif(lag(coalesce(reached.user_count, 0)) over (partition by steps.product order by steps.place), 0)
            as step_conversion_rate,
        cast(coalesce(reached.user_count, 0) as numeric) / beginners.user_count as overall_conversion_rate,
        reached.median_hours_from_previous
    from steps
    inner join reached as beginners on steps.product = beginners.product and beginners.place = 1
    left join reached on steps.product = reached.product and steps.place = reached.place
)

select * from final
