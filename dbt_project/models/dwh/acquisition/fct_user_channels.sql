{{ config(
    materialized='incremental', incremental_strategy='rebuild_users', on_schema_change='fail',
    meta={'feeds': ['sessions', 'conversions']},
    indexes=[{'columns': ['user_id']}],
) }}
-- Grain: one row per user and channel with at least one session.
-- Conversion looks at the user's first session in the channel, so rebuild_users rebuilds whole users.
with changed_users as (
    {{ changed_users(['sessions', 'conversions']) }}
),

sessions as (
    select * from {{ ref('fct_sessions') }}
    {% if is_incremental() %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
),

registrations as (
    select * from {{ ref('int_acquisition__registrations') }}
    {% if is_incremental() %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
),

user_channels as (
    select
        user_id,
        coalesce(channel, '(none)') as channel,
        count(*) as session_count,
        min(session_started_at) as first_session_at,
        max(session_started_at) as last_session_at
    from sessions
    group by user_id, coalesce(channel, '(none)')
),

conversions as (
    select
        user_channels.user_id,
        user_channels.channel,
        min(registrations.registered_at) as converted_at
    from user_channels
    inner join registrations
        on
            user_channels.user_id = registrations.user_id
            and user_channels.first_session_at <= registrations.registered_at
    group by user_channels.user_id, user_channels.channel
),

final as (
    select
        user_channels.user_id,
        user_channels.channel,
        user_channels.session_count,
        user_channels.first_session_at,
        user_channels.last_session_at,
        conversions.converted_at,
        {{ microseconds_between('user_channels.first_session_at', 'conversions.converted_at') }}
            as conversion_microseconds
    from user_channels
    left join conversions on user_channels.user_id = conversions.user_id and user_channels.channel = conversions.channel
)

select * from final
