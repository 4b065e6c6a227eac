{{ config(tags=['shared'], indexes=[{'columns': ['identity', 'user_id'], 'unique': true}]) }}
-- Grain: one row per identity and user.
-- Feeds of one identity share their user ids; ids of different identities never meet.
with sightings as (
    select
        '{{ feed_contract('sessions').identity }}' as identity,
        user_id,
        'acquisition' as domain_name,
        least({{ utc_date('first_session_at') }}, {{ utc_date('first_registered_at') }}) as first_date,
        greatest({{ utc_date('last_session_at') }}, {{ utc_date('last_registered_at') }}) as last_date
    from {{ ref('dim_acquisition_users') }}
    union all
    select
        user_keys.identity,
        user_keys.user_id,
        'engagement' as domain_name,
        tracks.first_date,
        tracks.last_date
    from {{ ref('int_engagement__user_tracks') }} as tracks
    inner join {{ ref('int_engagement__user_keys') }} as user_keys on tracks.user_key = user_keys.user_key
    where tracks.product = 'all' and tracks.country = 'all'
    union all
    -- accounts that no event is known of, too: an extract does not say when somebody was there
    select distinct
        app_users.identity,
        app_users.user_id,
        'engagement' as domain_name,
        cast(null as date) as first_date,
        cast(null as date) as last_date
    from {{ ref('dim_app_users') }} as app_users
    union all
    select
        identity,
        user_id,
        'subscription' as domain_name,
        first_date,
        last_date
    from {{ ref('int_subscription__users') }}
),

final as (
    select
        identity,
        user_id,
        string_agg(distinct domain_name, ',' order by domain_name) as domains,
        min(first_date) as first_date,
        max(last_date) as last_date
    from sightings
    group by identity, user_id
)

select * from final
