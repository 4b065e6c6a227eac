{{ config(materialized='view') }}
-- Grain: one row per user and product that the user ever had (and `all`): which numbers of days after the first one are
-- loaded, and on which the user came back; bit 0 is day 1, then 3, 7, 14 and 30.
{% set attributes = ['age_group', 'gender', 'user_segment'] %}
with beginnings as (
    select
        firsts.*,
        tracks.last_date
    from {{ ref('int_engagement__user_beginnings') }} as firsts
    inner join {{ ref('int_engagement__user_tracks') }} as tracks
        on firsts.user_key = tracks.user_key and firsts.product = tracks.product
    where tracks.country = 'all'
),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

accounts as (
    select
        user_keys.user_key,
        {% for column in attributes %}
            dim_app_users.{{ column }},
        {% endfor %}
        dim_app_users.valid_from,
        dim_app_users.valid_to
    from {{ ref('dim_app_users') }} as dim_app_users
    inner join {{ ref('int_engagement__user_keys') }} as user_keys
        on dim_app_users.identity = user_keys.identity and dim_app_users.user_id = user_keys.user_id
),

final as (
    select
        beginnings.user_key,
        beginnings.product,
        {{ month_start('beginnings.first_date') }} as cohort_month,
        beginnings.country,
        beginnings.platform,
        beginnings.channel,
        {% for column in attributes %}
            coalesce(accounts.{{ column }}, '(none)') as {{ column }},
        {% endfor %}
        {{ nday_bits_up_to('newest.newest_date - beginnings.first_date') }} as loaded_bits,
        {{ nday_bits('beginnings.day_bits & on_day > 0') }} as on_day_bits,
        {{ nday_bits_up_to('beginnings.last_date - beginnings.first_date') }} as on_or_after_bits,
        {{ nday_bits('beginnings.day_bits & since_before > 0') }} as bracket_bits
    from beginnings
    cross join newest
    left join accounts
        on
            beginnings.user_key = accounts.user_key
            and beginnings.first_at >= accounts.valid_from
            and (accounts.valid_to is null or beginnings.first_at < accounts.valid_to)
)

select * from final
