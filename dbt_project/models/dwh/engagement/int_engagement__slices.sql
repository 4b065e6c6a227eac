{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['slice_key'], 'unique': true}],
) }}
-- Grain: one row per product, country, platform and category that any event ever had together.
-- A junk dimension: events and the rollups of users carry its integer for the four texts.
with sightings as (select * from {{ ref('stg_engagement__sightings') }}),

slices as (
    select
        product,
        country,
        platform,
        category
    from sightings
    {% if is_incremental() %}
        where {{ on_changed_days('occurred_at', event_feeds()) }}
    {% endif %}
    group by product, country, platform, category
),

final as (
    select
        cast(
            row_number() over (order by slices.product, slices.country, slices.platform, slices.category)
            {% if is_incremental() %}
                + (select coalesce(max(kept.slice_key), 0) from {{ this }} as kept)
            {% endif %}
            as integer
        ) as slice_key,
        slices.product,
        slices.country,
        slices.platform,
        slices.category
    from slices
    {% if is_incremental() %}
        where
            not exists (
                select 1 from {{ this }} as kept
                where
                    kept.product = slices.product
                    and kept.country = slices.country
                    and kept.platform = slices.platform
                    and kept.category = slices.category
            )
    {% endif %}
)

select * from final
