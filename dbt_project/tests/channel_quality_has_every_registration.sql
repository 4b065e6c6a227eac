{# Registrations of a month are those of the facts, once for each currency. #}
{{ config(tags=['critical', 'mart']) }}
with quality as (
    select
        registration_month,
        currency_code,
        sum(registration_count) as registration_count,
        sum(registered_user_count) as registered_user_count
    from {{ ref('channel_quality') }}
    group by registration_month, currency_code
),

facts as (
    select
        {{ month_start('registered_date') }} as registration_month,
        count(*) as registration_count
    from {{ ref('fct_registrations') }}
    group by {{ month_start('registered_date') }}
)

select
    quality.*,
    facts.registration_count as expected_count
from quality
full outer join facts on quality.registration_month = facts.registration_month
where quality.registration_count is null or quality.registration_count <> coalesce(facts.registration_count, 0)
