{{ config(
    materialized='incremental', incremental_strategy='append', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events']},
    indexes=[{'columns': ['identity', 'user_id'], 'unique': true}, {'columns': ['user_key'], 'unique': true}],
) }}
-- Grain: one row per identity and user that any load ever named.
-- Integers for text ids: all that comes after sorts and hashes those. A key is kept for good and means nothing outside
-- of the dwh; that of a user who was erased stands for nobody.
with sightings as (select * from {{ ref('stg_engagement__sightings') }}),

users as (
    select
        identity,
        user_id
    from sightings
    where
        user_id is not null
        {% if is_incremental() %}
            and {{ on_changed_days('occurred_at', event_feeds()) }}
        {% endif %}
    group by identity, user_id
),

final as (
    select
        users.identity,
        users.user_id,
        cast(
            row_number() over (order by users.identity, {{ byte_order('users.user_id') }})
            {% if is_incremental() %}
                + (select coalesce(max(kept.user_key), 0) from {{ this }} as kept)
            {% endif %}
            as integer
        ) as user_key
    from users
    {% if is_incremental() %}
        where
            not exists (
                select 1 from {{ this }} as kept
                where kept.identity = users.identity and kept.user_id = users.user_id
            )
    {% endif %}
)

select * from final
