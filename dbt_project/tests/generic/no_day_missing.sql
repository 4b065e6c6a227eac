{#
    No day is missing between the feed's history and its newest new day. A day is expected when history has at least
    var history_min_days, and each of the four weeks before had its weekday, together with at least four times var
    missing_day_min_rows: feeds that rest on Sundays may, and where three rows a day are usual a day may have none.
    A first load is never judged; days of var excepted_days are not either.
#}
{% test no_day_missing(model, feed, event_time) %}
{{ config(tags=['critical']) }}
with history as ({{ history_days(feed) }}),
fresh as ({{ fresh_days(feed) }}),
known as (select event_date from history union select event_date from fresh),
span as (
    select
        (select max(event_date) from history) + 1 as first_date,
        (select max(event_date) from fresh) - 1 as last_date
    where (select count(*) from history) >= {{ var('history_min_days') }}
),
calendar as (select {{ date_spine('first_date', 'last_date', 'event_date') }} from span),
absent as (
    select calendar.event_date from calendar
    where
        calendar.event_date not in (select known.event_date from known)
        and calendar.event_date not in ({{ excepted_days(feed) }})
        and (
            select count(*) from known
            where calendar.event_date - known.event_date in (7, 14, 21, 28)
        ) = 4
    {{ computed_once() }}
)
select absent.event_date as missing_date from absent
where
    (
        select count(*) from {{ model }} as earlier
        where
            {%- for days in [7, 14, 21, 28] %}
            (
                earlier.{{ event_time }} >= {{ utc_midnight('absent.event_date - ' ~ days) }}
                and earlier.{{ event_time }} < {{ utc_midnight('absent.event_date - ' ~ (days - 1)) }}
            ){{ ' or' if not loop.last }}
            {%- endfor %}
    ) >= 4 * {{ var('missing_day_min_rows') }}
{% endtest %}
