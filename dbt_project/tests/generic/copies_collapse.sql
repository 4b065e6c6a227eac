{#
    On the days that new loads touched, staging has as many rows as raw has different ones: copies fall, nothing else.
    What staging takes for one value is one here: channel_columns by macro channel_text, slice_columns by slice_text, and
    clean_columns by clean_text.
#}
{% test copies_collapse(
    model, feed, source, instant, event_time, columns, channel_columns=[], slice_columns=[], clean_columns=[]
) %}
{{ config(tags=['critical']) }}
with there as (
    select event_date, count(*) as row_count
    from (
        select distinct
            {{ utc_date(event_time) }} as event_date,
            {{ columns | join(', ') }}
            {%- for column in channel_columns %}, {{ channel_text(column) }} as {{ column }}{% endfor %}
            {%- for column in slice_columns %}, {{ slice_text(column) }} as {{ column }}{% endfor %}
            {%- for column in clean_columns %}, {{ clean_text(column) }} as {{ column }}{% endfor %}
        from {{ source }}
        where {{ on_touched_days(feed, event_time) }}
    ) as different
    group by event_date
),
here as (
    select event_date, count(*) as row_count
    from (
        select {{ utc_date(instant) }} as event_date from {{ model }} where {{ on_touched_days(feed, instant) }}
    ) as events
    group by event_date
)
select
    coalesce(here.event_date, there.event_date) as event_date,
    coalesce(here.row_count, 0) as row_count,
    coalesce(there.row_count, 0) as expected_count
from here
full outer join there on here.event_date = there.event_date
where coalesce(here.row_count, 0) <> coalesce(there.row_count, 0)
{% endtest %}
