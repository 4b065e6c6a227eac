-- Grain: one row per month, product (or `all`), and value of a segment with an active user. See
-- docs/metrics.md#usage-by-segment.
-- Country and platform are those of the events, the others those of the account in the newest extract. What is known of
-- nobody, events without a user included, is (none).
{% set attributes = ['age_group', 'gender', 'user_segment'] %}
with active as (
    select * from {{ ref('int_engagement__active_periods') }}
    where period_type = 'month' and category = 'all'
),

current_accounts as (
    select
        {% for column in attributes %}
            coalesce(dim_app_users.{{ column }}, '(none)') as {{ column }},
        {% endfor %}
        user_keys.user_key
    from {{ ref('dim_app_users') }} as dim_app_users
    inner join {{ ref('int_engagement__user_keys') }} as user_keys
        on dim_app_users.identity = user_keys.identity and dim_app_users.user_id = user_keys.user_id
    where dim_app_users.is_current
),

-- users by all attributes together, of which there are few, so that their many months are grouped by a number
accounts as (
    select
        user_key,
        {% for column in attributes %}
            {{ column }},
        {% endfor %}
        dense_rank() over (order by {{ attributes | join(', ') }}) as combination_key
    from current_accounts
),

attribute_sets as (
    select
        {% for column in attributes %}
            min({{ column }}) as {{ column }},
        {% endfor %}
        combination_key
    from accounts
    group by combination_key
),

user_months as (
    select
        months.period_start,
        months.product,
        accounts.combination_key,
        count(*) as user_count,
        count(case when months.is_first_product then 1 end) as total_user_count,
        sum(months.event_count) as event_count
    from {{ ref('int_engagement__user_months') }} as months
    left join accounts on months.user_key = accounts.user_key
    group by months.period_start, months.product, accounts.combination_key
),

of_products_and_all as (
    select
        period_start,
        product,
        combination_key,
        user_count,
        event_count
    from user_months
    union all
    select
        period_start,
        'all' as product,
        combination_key,
        sum(total_user_count) as user_count,
        sum(event_count) as event_count
    from user_months
    group by period_start, combination_key
),

combinations as (
    select
        counted.period_start,
        counted.product,
        {% for column in attributes %}
            coalesce(attribute_sets.{{ column }}, '(none)') as {{ column }},
        {% endfor %}
        counted.user_count,
        counted.event_count
    from of_products_and_all as counted
    left join attribute_sets on counted.combination_key = attribute_sets.combination_key
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
