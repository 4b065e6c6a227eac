-- What changed in the newest whole week against the one before? Active users by country and by product (one who uses
-- several counts in each), registrations by the label that attribution gives them.
with acquisition as (
    select coalesce(max(activity_date), date 'infinity') as newest_date from mart.acquisition_daily
),

newest as (
    select max(active_users.period_start) as week_start
    from mart.active_users
    cross join acquisition
    where
        active_users.period_type = 'week' and active_users.is_complete
        -- whole in what is known of registrations, too
        and active_users.period_start + 6 <= acquisition.newest_date
),

active as (
    select
        'active users by country' as measure,
        country as slice,
        period_start as week_start,
        active_user_count as user_count
    from mart.active_users
    where period_type = 'week' and product = 'all' and country <> 'all' and platform = 'all' and category = 'all'
    union all
    select
        'active users by product' as measure,
        product as slice,
        period_start as week_start,
        active_user_count as user_count
    from mart.active_users
    where period_type = 'week' and product <> 'all' and country = 'all' and platform = 'all' and category = 'all'
),

registrations as (
    select
        'registrations by label' as measure,
        attributed_channel as slice,
        cast(date_trunc('week', registered_date) as date) as week_start,
        count(*) as user_count
    from dwh.fct_registrations
    group by attributed_channel, date_trunc('week', registered_date)
),

measures as (
    select * from active
    union all
    select * from registrations
)

select
    measures.measure,
    measures.slice,
    sum(case when measures.week_start = newest.week_start then measures.user_count else 0 end) as newest_week,
    sum(case when measures.week_start < newest.week_start then measures.user_count else 0 end) as week_before,
    sum(case when measures.week_start = newest.week_start then measures.user_count else -measures.user_count end)
        as user_count_change
from measures
cross join newest
where measures.week_start between newest.week_start - 7 and newest.week_start
group by measures.measure, measures.slice
order by measures.measure asc, user_count_change desc, measures.slice asc
