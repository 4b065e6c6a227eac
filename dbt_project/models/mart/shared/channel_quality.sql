{{ config(tags=['shared']) }}
{% set identity = feed_contract('conversions').identity %}
-- Grain: one row per month of registration, channel (medium of the session that the rules chose) and currency.
-- Users stand where their first registration does. What they do and pay is known as far as events and payments share
-- the identity of conversions. See docs/metrics.md#channel-quality.
with registrations as (
    select
        user_id,
        registered_date,
        {{ month_start('registered_date') }} as registration_month,
        case
            when attributed_session_sk is null then 'UNATTRIBUTED'
            else coalesce(attributed_session_channel, '(none)')
        end as channel,
        row_number() over (partition by user_id order by registered_at) as place
    from {{ ref('fct_registrations') }}
),

users as (
    select * from registrations
    where place = 1
),

user_keys as (select * from {{ ref('int_engagement__user_keys') }}),

activity_days as (select * from {{ ref('fct_user_activity_daily') }}),

all_payments as (select * from {{ ref('fct_payments') }}),

currencies as (select * from {{ ref('int_subscription__currencies') }}),

activity as (
    select
        users.user_id,
        max(case when activity_days.activity_date < users.registered_date + 7 then 1 else 0 end) as is_activated,
        max(case when activity_days.activity_date >= users.registered_date + 30 then 1 else 0 end) as is_retained
    from users
    inner join user_keys
        on users.user_id = user_keys.user_id and user_keys.identity = '{{ identity }}'
    inner join activity_days
        on user_keys.user_key = activity_days.user_key and users.registered_date <= activity_days.activity_date
    group by users.user_id
),

payments as (
    select
        users.registration_month,
        users.channel,
        all_payments.currency_code,
        users.user_id,
        sum(all_payments.amount) as revenue_amount
    from users
    inner join all_payments
        on
            users.user_id = all_payments.user_id
            and all_payments.identity = '{{ identity }}'
            and users.registered_date <= all_payments.payment_date
            and users.registered_date + 90 > all_payments.payment_date
    group by users.registration_month, users.channel, all_payments.currency_code, users.user_id
),

counts as (
    select
        registrations.registration_month,
        registrations.channel,
        count(*) as registration_count,
        sum(case when registrations.place = 1 then 1 else 0 end) as registered_user_count,
        sum(case when registrations.place = 1 then activity.is_activated else 0 end) as activated_user_count,
        sum(case when registrations.place = 1 then activity.is_retained else 0 end) as retained_user_count_30d
    from registrations
    left join activity on registrations.user_id = activity.user_id
    group by registrations.registration_month, registrations.channel
),

revenue as (
    select
        registration_month,
        channel,
        currency_code,
        sum(case when revenue_amount > 0 then 1 else 0 end) as paying_user_count,
        sum(revenue_amount) as revenue_amount_90d
    from payments
    group by registration_month, channel, currency_code
),

-- null where a domain has no data: what nobody delivers is not waited for
newest as (
    select
        (select max(periods.newest_date) from {{ ref('int_engagement__periods') }} as periods) as event_date,
        (select max(months.newest_date) from {{ ref('int_subscription__months') }} as months) as payment_date
),

-- who registers on the last day of the month is the last whose 30th day, and last of 90 days, comes
completeness as (
    select
        counts.registration_month,
        counts.channel,
        {{ months_later('counts.registration_month', 1) }} - 1 + 30 <= newest.event_date as has_all_events,
        {{ months_later('counts.registration_month', 1) }} - 1 + 89 <= newest.payment_date as has_all_payments
    from counts
    cross join newest
),

final as (
    select
        counts.registration_month,
        counts.channel,
        currencies.currency_code,
        counts.registration_count,
        cast(counts.registered_user_count as bigint) as registered_user_count,
        cast(coalesce(counts.activated_user_count, 0) as bigint) as activated_user_count,
        cast(coalesce(counts.retained_user_count_30d, 0) as bigint) as retained_user_count_30d,
        cast(coalesce(revenue.paying_user_count, 0) as bigint) as paying_user_count,
        coalesce(revenue.revenue_amount_90d, 0) as revenue_amount_90d,
        coalesce(revenue.revenue_amount_90d, 0) / nullif(counts.registered_user_count, 0)
            as revenue_per_user_amount_90d,
        coalesce(completeness.has_all_events, completeness.has_all_payments, false)
        and coalesce(completeness.has_all_payments, true) as is_complete
    from counts
    cross join currencies
    inner join completeness
        on counts.registration_month = completeness.registration_month and counts.channel = completeness.channel
    left join revenue
        on
            counts.registration_month = revenue.registration_month
            and counts.channel = revenue.channel
            and currencies.currency_code = revenue.currency_code
)

select * from final
