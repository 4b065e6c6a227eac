-- Grain: one row per channel (medium) with at least one session. See docs/metrics.md#channel-conversion.
with user_channels as (select * from {{ ref('fct_user_channels') }}),

final as (
    select
        channel,
        cast(sum(session_count) as bigint) as session_count,
        count(*) as touched_user_count,
        count(converted_at) as converted_user_count,
        cast(count(converted_at) as numeric) / count(*) as conversion_rate,
        {{ hours('avg(conversion_microseconds)') }} as hours_to_conversion_avg,
        {{ hours('percentile_cont(0.5) within group (order by conversion_microseconds)') }}
            as hours_to_conversion_median,
        {{ hours('percentile_cont(0.9) within group (order by conversion_microseconds)') }}
            as hours_to_conversion_p90
    from user_channels
    group by channel
)

select * from final
