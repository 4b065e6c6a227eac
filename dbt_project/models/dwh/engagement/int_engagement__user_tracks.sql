{{ config(
    materialized='incremental', incremental_strategy='rebuild_user_tracks', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['user_key']}],
) }}
-- Grain: one row per user for all activity, for each product and for each country of the user (the others are `all`).
-- What a metric must know of a user's whole history, the first day ever above all. Read from the user's months, of
-- which there are few. rebuild_user_tracks builds changed users anew.
{% set tracks = {'all': [], 'product': ['product_key'], 'country': ['country_key']} %}
with changed_keys as (
    {{ changed_user_keys() }}
),

slices as (
    {{ slices_by_key() }}
),

months as (
    select
        user_slices.user_key,
        user_slices.month_start,
        slices.product_key,
        slices.country_key,
        min(user_slices.first_date) as first_date,
        max(user_slices.last_date) as last_date,
        bit_or(user_slices.day_bits) as day_bits,
        cast(sum(user_slices.event_count) as integer) as event_count,
        {{ sum_where_any('user_slices.amount_total') }} as amount_total
    from {{ ref('int_engagement__user_slices') }} as user_slices
    inner join slices on user_slices.slice_key = slices.slice_key
    {% if is_incremental() %}
        where user_slices.user_key in (select changed_keys.user_key from changed_keys)
    {% endif %}
    group by user_slices.user_key, user_slices.month_start, slices.product_key, slices.country_key
),

-- a day in several products or countries is one active day; sums of integer are the cheap ones
{% for track, keys in tracks.items() %}
    {{ track }}_months as (
        select
            {{ (['user_key'] + keys) | join(', ') }},
            min(first_date) as first_date,
            max(last_date) as last_date,
            {{ day_count('bit_or(day_bits)') }} as active_day_count,
            cast(sum(event_count) as integer) as event_count,
            {{ sum_where_any('amount_total') }} as amount_total
        from months
        group by {{ (['user_key', 'month_start'] + keys) | join(', ') }}
    ),

{% endfor %}
by_key as (
    {% for track, keys in tracks.items() %}
        select
            user_key,
            {% for key in ['product_key', 'country_key'] %}
                {{ key if key in keys else 'cast(null as integer) as ' ~ key }},
            {% endfor %}
            min(first_date) as first_date,
            max(last_date) as last_date,
            sum(active_day_count) as active_day_count,
            sum(event_count) as event_count,
            {{ sum_where_any('amount_total') }} as amount_total
        from {{ track }}_months
        group by {{ (['user_key'] + keys) | join(', ') }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

-- the least slice of a product, or of a country, is its key
final as (
    select
        by_key.user_key,
        coalesce(products.product, 'all') as product,
        coalesce(countries.country, 'all') as country,
        by_key.first_date,
        by_key.last_date,
        cast(by_key.active_day_count as integer) as active_day_count,
        cast(by_key.event_count as bigint) as event_count,
        by_key.amount_total
    from by_key
    left join slices as products on by_key.product_key = products.slice_key
    left join slices as countries on by_key.country_key = countries.slice_key
)

select * from final
