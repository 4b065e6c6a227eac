{{ config(tags=['shared'], indexes=[{'columns': ['calendar_date'], 'unique': true}]) }}
-- Grain: one row per UTC day from the first to the last day of any loaded row: the data decide, never the clock.
with days as (
    select activity_date as event_date from {{ ref('fct_channel_activity_daily') }}
    union all
    select registered_date from {{ ref('int_acquisition__registrations') }}
    union all
    select activity_date from {{ ref('fct_activity_daily') }}
    union all
    select payment_date from {{ ref('fct_payments') }}
    union all
    select watch_date from {{ ref('fct_viewing') }}
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
