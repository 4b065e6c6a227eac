{{ config(tags=['shared'], indexes=[{'columns': ['calendar_date'], 'unique': true}]) }}
-- Grain: one row per UTC day from the first to the last day of any session, registration, event, payment or viewing,
-- and to the last loaded day of the subscriptions, which may be that of an extract. Extracts of accounts do not count.
-- The data decide, never the clock.
-- Its last day is the as-of date of a publication, so a run of one domain builds it, too: from whatever is built yet.
with days as (
    {{ days_of(ref('fct_channel_activity_daily'), 'activity_date') }}
    union all
    {{ days_of(ref('int_acquisition__registrations'), 'registered_date') }}
    union all
    {{ days_of(ref('fct_activity_daily'), 'activity_date') }}
    union all
    {{ days_of(ref('fct_payments'), 'payment_date') }}
    union all
    {{ days_of(ref('fct_viewing'), 'watch_date') }}
    union all
    -- dated extracts of subscriptions and subscribers, too
    {{ days_of(ref('int_subscription__months'), 'newest_date') }}
),

span as (
    select
        min(event_date) as first_date,
        max(event_date) as last_date
    from days
),

calendar as (select {{ date_spine('first_date', 'last_date', 'calendar_date') }} from span),

final as (
    select
        calendar_date,
        {{ week_start('calendar_date') }} as week_start,
        {{ month_start('calendar_date') }} as month_start,
        cast({{ iso_year('calendar_date') }} as integer) as iso_year,
        cast({{ iso_week('calendar_date') }} as integer) as iso_week,
        cast({{ iso_weekday('calendar_date') }} as integer) as iso_weekday,
        {{ iso_weekday('calendar_date') }} >= 6 as is_weekend
    from calendar
)

select * from final
