{# Nobody watches more than 24 hours on a day; only days that were rebuilt lately are read. #}
{{ config(tags=['warning', 'dwh', 'subscription'], severity='warn') }}
select
    user_id,
    watch_date,
    sum(watched_hours) as watched_hours
from {{ ref('fct_viewing') }}
where user_id is not null and {{ on_days('watch_date', built_days(['viewing_activity'], 'fct_viewing')) }}
group by user_id, watch_date
having sum(watched_hours) > 24
