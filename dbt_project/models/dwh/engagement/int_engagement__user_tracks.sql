{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_tracks', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['user_key']}],
) }}
-- Grain: one row per user for all activity, for each product and for each country of the user (the others are `all`).
-- What a metric must know of a user's whole history: first day ever, and whether there is more than one product or
-- country. Read from the user's months, of which there are few. rebuild_user_tracks builds changed users anew.
with changed_keys as (
    {{ changed_user_keys() }}
),

months as (
    select
        user_periods.*,
        slices.product,
        slices.country
    from {{ ref('int_engagement__user_periods') }} as user_periods
    inner join {{ ref('int_engagement__slices') }} as slices on user_periods.slice_key = slices.slice_key
    where
        user_periods.period_type = 'month'
        {% if is_incremental() %}
            and user_periods.user_key in (select changed_keys.user_key from changed_keys)
        {% endif %}
),

final as (
    {% for track in ['all', 'product', 'country'] %}
        select
            user_key,
            {{ 'product' if track == 'product' else "'all'" }} as product,
            {{ 'country' if track == 'country' else "'all'" }} as country,
            min(first_date) as first_date,
            max(last_date) as last_date,
            cast(sum(active_day_count) as integer) as active_day_count,
            cast(sum(event_count) as bigint) as event_count,
            sum(amount_total) as amount_total,
            -- null where there are several, and where the row is of one anyway
            case when {{ 'true' if track == 'all' else 'false' }} and min(least_product) = max(greatest_product)
                then min(least_product) end as only_product,
            case when {{ 'true' if track == 'all' else 'false' }} and min(least_country) = max(greatest_country)
                then min(least_country) end as only_country
        from (
            select
                user_key,
                {{ track ~ ',' if track != 'all' }}
                min(first_date) as first_date,
                max(last_date) as last_date,
                {{ day_count('bit_or(day_bits)') }} as active_day_count,
                sum(event_count) as event_count,
                sum(amount_total) as amount_total,
                min(product) as least_product,
                max(product) as greatest_product,
                min(country) as least_country,
                max(country) as greatest_country
            from months
            group by user_key, {{ track ~ ',' if track != 'all' }} period_start
        ) as months
        group by user_key{{ ', ' ~ track if track != 'all' }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
)

select * from final
