{{ config(
    materialized='incremental', incremental_strategy='rebuild_users', on_schema_change='fail',
    meta={'feeds': ['sessions', 'conversions'], 'version_of': 'int_acquisition__channel_rules'},
    indexes=[{'columns': ['user_id']}],
) }}
-- Grain: one row per registration, with the one channel that the rule table gives it.
-- A session or registration that comes, changes or goes can relabel every registration of its user and of no one
-- else: rebuild_users rebuilds those users, and everyone when the rule table was edited.
-- Priority and age are packed into one integer, so that one min() over one pass finds the rule and the session.
{% set pack = 320000000000000000 %} {# microseconds of 10,140 years: more than from year 1 to 9999; fits 27 rules #}
{% set changed = is_incremental() and not is_outdated() %}
with changed_users as (
    {{ changed_users(['sessions', 'conversions']) }}
),

registrations as (
    select * from {{ ref('int_acquisition__registrations') }}
    {% if changed %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
),

sessions as (
    select
        session_sk,
        user_id,
        session_started_at,
        is_paid,
        channel,
        coalesce(channel, '(none)') as rule_channel
    from {{ ref('fct_sessions') }}
    {% if changed %}
        where user_id in (select changed_users.user_id from changed_users)
    {% endif %}
),

channel_rules as (select * from {{ ref('int_acquisition__channel_rules') }}),

pairs as (
    select
        registrations.registration_sk,
        channel_rules.rule_rank,
        channel_rules.window_microseconds,
        {{ microseconds_between('sessions.session_started_at', 'registrations.registered_at') }} as age_microseconds,
        -- a session that can satisfy several rules is still one touch
        coalesce(channel_rules.is_first_rule, true) as is_first_rule
    from registrations
    inner join sessions on registrations.user_id = sessions.user_id
    left join channel_rules
        on sessions.rule_channel = channel_rules.channel and sessions.is_paid = channel_rules.is_paid
),

scores as (
    select
        registration_sk,
        count(*) filter (where is_first_rule and age_microseconds >= 0) as touch_count,
        min({{ pack }} * rule_rank + age_microseconds) filter (
            where age_microseconds >= 0 and (window_microseconds is null or age_microseconds <= window_microseconds)
        ) as best_score
    from pairs
    group by registration_sk
),

winners as (
    select
        scores.registration_sk,
        channel_rules.label,
        sessions.session_sk,
        sessions.session_started_at,
        sessions.is_paid,
        sessions.channel,
        mod(scores.best_score, {{ pack }}) as age_microseconds,
        -- sessions of one instant: the last in the order of touches, which is channel, then is_paid
        row_number() over (
            partition by scores.registration_sk
            order by {{ byte_order('sessions.channel') }} desc nulls last, sessions.is_paid desc
        ) as place
    from scores
    inner join registrations on scores.registration_sk = registrations.registration_sk
    inner join sessions
        on
            registrations.user_id = sessions.user_id
            and sessions.session_started_at
            = {{ microseconds_before('registrations.registered_at', 'mod(scores.best_score, ' ~ pack ~ ')') }}
    inner join channel_rules
        on
            sessions.rule_channel = channel_rules.channel
            and sessions.is_paid = channel_rules.is_paid
            and channel_rules.rule_rank
            = cast((scores.best_score - mod(scores.best_score, {{ pack }})) / {{ pack }} as integer)
),

final as (
    select
        registrations.registration_sk,
        registrations.user_id,
        registrations.registered_at,
        registrations.registered_date,
        coalesce(winners.label, 'UNATTRIBUTED') as attributed_channel,
        winners.session_sk as attributed_session_sk,
        winners.session_started_at as attributed_session_started_at,
        winners.channel as attributed_session_channel,
        winners.is_paid as is_attributed_session_paid,
        {{ hours('winners.age_microseconds') }} as attributed_age_hours,
        coalesce(scores.touch_count, 0) as touch_count,
        case
            when winners.label is not null then null
            when scores.registration_sk is null then 'no_session'
            when scores.touch_count = 0 then 'only_sessions_after'
            else 'only_sessions_outside_window'
        end as unattributed_reason
    from registrations
    left join scores on registrations.registration_sk = scores.registration_sk
    left join winners on registrations.registration_sk = winners.registration_sk and winners.place = 1
)

select * from final
