{#
    An id of app_events that came with several contents: each is an event of its own. Only days that lately loaded files
    touched are searched, all of them together: a content on an older day is not found.
#}
{{ config(tags=['warning', 'dwh', 'engagement'], severity='warn') }}
select
    event_id,
    count(*) as content_count
from {{ ref('fct_events') }}
where
    event_id is not null
    and occurred_date in ({{ date_list(built_days(['events', 'app_events'], 'fct_events')) }})
group by event_id
having count(*) > 1
