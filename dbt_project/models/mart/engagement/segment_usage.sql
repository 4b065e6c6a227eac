-- Grain: one row per month, product (or `all`), and value of a segment with an active user. See
-- docs/metrics.md#usage-by-segment.
-- Country and platform are those of the events, the others those of the account in the newest extract. What is known of
-- nobody, events without a user included, is (none).
{% set attributes = ['age_group', 'gender', 'user_segment'] %}
with active as (
    select * from {{ ref('int_engagement__active_periods') }}
    where period_type = 'month' and category = 'all'
),

accounts as (
    select
        {% for column in attributes %}
            dim_app_users.{{ column }},
        {% endfor %}
        user_keys.user_key
    from {{ ref('dim_app_users') }} as dim_app_users
    inner join {{ ref('int_engagement__user_keys') }} as user_keys
        on dim_app_users.identity = user_keys.identity and dim_app_users.user_id = user_keys.user_id
    where dim_app_users.is_current
),

user_months as (
    select
        period_start,
        user_key,
        product,
        event_count
    from {{ ref('int_engagement__user_months') }}
    union all
    select
        period_start,
        user_key,
        'all' as product,
        sum(event_count) as event_count
    from {{ ref('int_engagement__user_months') }}
    group by period_start, user_key
),

-- by all attributes together first: the users of a month are many, these are few
combinations as (
    select
        user_months.period_start,
        user_months.product,
        {% for column in attributes %}
            coalesce(accounts.{{ column }}, '(none)') as {{ column }},
        {% endfor %}
        count(*) as user_count,
        sum(user_months.event_count) as event_count
    from user_months
    left join accounts on user_months.user_key = accounts.user_key
    group by
        {% for column in attributes %}
            coalesce(accounts.{{ column }}, '(none)'),
        {% endfor %}
        user_months.period_start, user_months.product
),

known as (
    select
        period_start,
        product,
        sum(event_count) as event_count
    from combinations
    group by period_start, product
),

of_accounts as (
    {% for column in attributes %}
        select
            period_start,
            product,
            '{{ column }}' as segment_type,
            {{ column }} as segment_value,
            sum(user_count) as user_count,
            sum(event_count) as event_count
        from combinations
        group by period_start, product, {{ column }}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

userless as (
    select
        active.period_start,
        active.product,
        active.event_count - coalesce(known.event_count, 0) as event_count
    from active
    left join known on active.period_start = known.period_start and active.product = known.product
    where active.country = 'all' and active.platform = 'all'
),

usage as (
    {% for column, other in [('country', 'platform'), ('platform', 'country')] %}
        select
            period_start,
            product,
            '{{ column }}' as segment_type,
            {{ column }} as segment_value,
            active_user_count,
            event_count
        from active
        where {{ column }} <> 'all' and {{ other }} = 'all'
        union all
    {% endfor %}
    select
        of_accounts.period_start,
        of_accounts.product,
        of_accounts.segment_type,
        of_accounts.segment_value,
        cast(of_accounts.user_count as bigint) as active_user_count,
        cast(
            of_accounts.event_count
            + case when of_accounts.segment_value = '(none)' then userless.event_count else 0 end as bigint
        ) as event_count
    from of_accounts
    inner join userless
        on of_accounts.period_start = userless.period_start and of_accounts.product = userless.product
),

final as (
    select
        *,
        cast(event_count as numeric) / active_user_count as events_per_user
    from usage
)

select * from final
