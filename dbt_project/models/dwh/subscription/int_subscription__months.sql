-- Grain: one row per calendar month of the span of the subscriptions: from the first day of any payment, viewing or
-- subscription to the last loaded day, that of a payment, a viewing or an extract that is dated by its folder.
-- The data decide what is complete, never the clock. Starts of subscriptions may lie ahead, and move "now" only where
-- nothing else says when it is.
with loaded as (
    select
        min(payment_date) as first_date,
        max(payment_date) as last_date
    from {{ ref('fct_payments') }}
    union all
    select
        min(watch_date) as first_date,
        max(watch_date) as last_date
    from {{ ref('fct_viewing') }}
    union all
    select
        min(extract_date) as first_date,
        max(extract_date) as last_date
    from ({{ dated_extracts(['subscribers', 'subscriptions']) }}) as extracts
),

starts as (
    select
        min(start_date) as first_date,
        max(start_date) as last_date
    from {{ ref('dim_subscriptions_by_check') }}
    where is_current
),

bounds as (
    select
        min(loaded.first_date) as first_date,
        coalesce(max(loaded.last_date), starts.last_date) as last_date,
        starts.first_date as first_start_date
    from loaded
    cross join starts
    group by starts.first_date, starts.last_date
),

span as (
    select
        least(first_date, case when first_start_date <= last_date then first_start_date end) as first_date,
        last_date
    from bounds
),

months as (select {{ month_spine('first_date', 'last_date', 'month_start') }} from span),

final as (
    select
        months.month_start,
        least({{ months_later('months.month_start', 1) }} - 1, span.last_date) as valued_date,
        months.month_start >= span.first_date
        and {{ months_later('months.month_start', 1) }} - 1 <= span.last_date as is_complete,
        span.last_date as newest_date
    from months
    cross join span
)

select * from final
