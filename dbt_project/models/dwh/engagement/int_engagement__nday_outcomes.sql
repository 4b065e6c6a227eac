{{ config(materialized='view') }}
-- Grain: one row per user and product that the user ever had (and `all`): which numbers of days after the first one are
-- loaded, and on which the user came back; bit 0 is day 1, then 3, 7, 14 and 30.
{% set numbers = nday_numbers() %}
{% set attributes = ['age_group', 'gender', 'user_segment'] %}
with beginnings as (select * from {{ ref('int_engagement__user_beginnings') }}),

newest as (select max(activity_date) as newest_date from {{ ref('fct_activity_daily') }}),

accounts as (
    select
        user_keys.user_key,
        dim_app_users.valid_from,
        dim_app_users.valid_to,
        {% for column in attributes %}
            dim_app_users.{{ column }}{{ ',' if not loop.last }}
        {% endfor %}
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
        {% for number in numbers %}
            case when beginnings.first_date + {{ number }} <= newest.newest_date then {{ 2 ** loop.index0 }} else 0 end
            {{ '+' if not loop.last else 'as loaded_bits,' }}
        {% endfor %}
        {% for number in numbers %}
            case when beginnings.day_bits & {{ 2 ** (number - 1) }} > 0 then {{ 2 ** loop.index0 }} else 0 end
            {{ '+' if not loop.last else 'as on_day_bits,' }}
        {% endfor %}
        {% for number in numbers %}
            case when beginnings.last_date >= beginnings.first_date + {{ number }} then {{ 2 ** loop.index0 }} else 0 end
            {{ '+' if not loop.last else 'as on_or_after_bits,' }}
        {% endfor %}
        {% for number in numbers %}
            {% set days = 2 ** number - 2 ** (loop.previtem or 0) %}
            case when beginnings.day_bits & {{ days }} > 0 then {{ 2 ** loop.index0 }} else 0 end
            {{ '+' if not loop.last else 'as bracket_bits' }}
        {% endfor %}
    from beginnings
    cross join newest
    left join accounts
        on
            beginnings.user_key = accounts.user_key
            and accounts.valid_from <= beginnings.first_at
            and (accounts.valid_to is null or accounts.valid_to > beginnings.first_at)
)

select * from final
