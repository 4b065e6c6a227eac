-- Grain: one row per attribution model, month of registration and label. See docs/metrics.md#rule-based-attribution.
with registrations as (select * from {{ ref('fct_registrations') }}),

labels as (
    select
        {{ month_start('registered_date') }} as registration_month,
        attributed_channel as channel,
        cast(count(*) as numeric) as registration_count
    from registrations
    group by {{ month_start('registered_date') }}, attributed_channel
),

final as (
    select
        'rule_based' as attribution_model,
        channel,
        registration_month,
        registration_count,
        registration_count / sum(registration_count) over (partition by registration_month) as registration_rate
    from labels
)

select * from final
