{{ config(
    materialized='incremental', incremental_strategy='rebuild_open_tracks', on_schema_change='fail',
    meta={
        'feeds': ['events', 'app_events'],
        'last_instant': utc_midnight('first_date + 31'),
    },
    indexes=[{'columns': ['user_key']}],
) }}
-- Grain: one row per user and product that the user ever had, and `all`: the first event, and who came back when.
-- rebuild_open_tracks builds changed users anew whose 30 days hold a changed day. Days come from the user's months, of
-- which there are few: of their bits only those of the 30 days after the first one stay.
{% set steps = 'user_slices.month_start - tracks.first_date - 1' %}
with tracks as (
    {{ open_tracks() }}
),

first_day_events as (
    select
        events.user_key,
        events.product,
        events.occurred_at,
        events.country,
        events.platform,
        events.utm_source,
        min(events.occurred_at) over (partition by events.user_key, events.product) as first_at
    from tracks
    inner join {{ ref('fct_events') }} as events
        on
            tracks.user_key = events.user_key
            and tracks.product = events.product
            and tracks.first_date = events.occurred_date
            -- the same day once more, for the index on both
            and events.occurred_at >= {{ utc_midnight('tracks.first_date') }}
            and events.occurred_at < {{ utc_midnight('tracks.first_date + 1') }}
),

-- several events at one instant: the smallest value
product_firsts as (
    select
        user_key,
        product,
        first_at,
        min({{ byte_order('country') }}) as country,
        min({{ byte_order('platform') }}) as platform,
        min({{ byte_order('utm_source') }}) as utm_source
    from first_day_events
    where occurred_at = first_at
    group by user_key, product, first_at
),

ranked_firsts as (
    select
        *,
        min(first_at) over (partition by user_key) as user_first_at
    from product_firsts
),

firsts as (
    select
        user_key,
        product,
        first_at,
        country,
        platform,
        utm_source
    from product_firsts
    union all
    select
        user_key,
        'all' as product,
        first_at,
        min({{ byte_order('country') }}) as country,
        min({{ byte_order('platform') }}) as platform,
        min({{ byte_order('utm_source') }}) as utm_source
    from ranked_firsts
    where first_at = user_first_at
    group by user_key, first_at
),

days_after as (
    select
        tracks.user_key,
        tracks.product,
        tracks.first_date,
        bit_or({{ shifted_bits('user_slices.day_bits', steps) }}) as day_bits
    from tracks
    inner join {{ ref('int_engagement__user_slices') }} as user_slices
        on
            tracks.user_key = user_slices.user_key
            and tracks.first_date + 30 >= user_slices.month_start
            and tracks.first_date <= user_slices.last_date
    inner join {{ ref('int_engagement__slices') }} as slices
        on
            user_slices.slice_key = slices.slice_key
            and (tracks.product = 'all' or tracks.product = slices.product)
    group by tracks.user_key, tracks.product, tracks.first_date
),

-- put together by key, not joined: the planner takes the users of a day for a handful and would compare each with all
parts as (
    select
        user_key,
        product,
        first_date,
        cast(day_bits as integer) as day_bits,
        cast(null as timestamptz) as first_at,
        cast(null as text) as country,
        cast(null as text) as platform,
        cast(null as text) as utm_source
    from days_after
    union all
    select
        user_key,
        product,
        cast(null as date) as first_date,
        cast(null as integer) as day_bits,
        first_at,
        country,
        platform,
        utm_source
    from firsts
),

final as (
    select
        user_key,
        product,
        min(first_date) as first_date,
        min(first_at) as first_at,
        coalesce(min(country), '(none)') as country,
        coalesce(min(platform), '(none)') as platform,
        coalesce(min(utm_source), '(none)') as channel,
        bit_or(day_bits) as day_bits
    from parts
    group by user_key, product
    -- a user's total may be closed while a product is open
    having min(first_date) is not null and min(first_at) is not null
)

select * from final
