{{ config(
    materialized='incremental', incremental_strategy='rebuild_users', on_schema_change='fail',
    meta={'feeds': ['sessions', 'conversions']},
    indexes=[{'columns': ['user_id'], 'unique': true}],
) }}
-- Grain: one row per user with a session or a registration.
with changed_users as (
    {{ changed_users(['sessions', 'conversions']) }}
),

user_channels as (
    select
        user_id,
        sum(session_count) as session_count,
        min(first_session_at) as first_session_at,
        max(last_session_at) as last_session_at
    from {{ ref('fct_user_channels') }}
    {% if is_incremental() %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
    group by user_id
),

registrations as (
    select
        user_id,
        count(*) as registration_count,
        min(registered_at) as first_registered_at,
        max(registered_at) as last_registered_at
    from {{ ref('int_acquisition__registrations') }}
    {% if is_incremental() %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
    group by user_id
),

final as (
    select
        coalesce(user_channels.user_id, registrations.user_id) as user_id,
        cast(coalesce(user_channels.session_count, 0) as bigint) as session_count,
        user_channels.first_session_at,
        user_channels.last_session_at,
        coalesce(registrations.registration_count, 0) as registration_count,
        registrations.first_registered_at,
        registrations.last_registered_at
    from user_channels
    full outer join registrations on user_channels.user_id = registrations.user_id
)

select * from final
