-- Grain: one row per UTC day and channel (medium) with a session or a registration.
-- A registration counts on its own day, under the medium of the session that its rule chose.
with sessions as (select * from {{ ref('fct_channel_activity_daily') }}),

registrations as (
    select
        registered_date as activity_date,
        case
            when attributed_session_sk is null then 'UNATTRIBUTED'
            else coalesce(attributed_session_channel, '(none)')
        end as channel,
        count(*) as registration_count
    from {{ ref('fct_registrations') }}
    group by 1, 2
),

final as (
    select
        coalesce(sessions.activity_date, registrations.activity_date) as activity_date,
        coalesce(sessions.channel, registrations.channel) as channel,
        coalesce(sessions.session_count, 0) as session_count,
        coalesce(sessions.paid_session_count, 0) as paid_session_count,
        coalesce(registrations.registration_count, 0) as registration_count
    from sessions
    full outer join registrations
        on sessions.activity_date = registrations.activity_date and sessions.channel = registrations.channel
)

select * from final
