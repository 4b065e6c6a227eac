-- Grain: one row per month of the first day, product (or `all`), segment, day number and way of counting; the total has
-- every month of the span. See docs/metrics.md#n-day-retention.
-- What became of a user is a set of bits, four a day number: users with the same bits are counted together, by segment,
-- before any of it is looked at.
{% set numbers = [1, 3, 7, 14, 30] %}
{% set types = ['on_day', 'on_or_after', 'bracket'] %}
{% set attributes = ['age_group', 'gender', 'user_segment'] %}
{% set segments = ['country', 'platform', 'channel'] + attributes %}
with beginnings as (select * from {{ ref('int_engagement__user_beginnings') }}),

months as (
    select
        period_start as cohort_month,
        newest_date
    from {{ ref('int_engagement__periods') }}
    where period_type = 'month'
),

accounts as (
    select
        user_keys.user_key,
        dim_app_users.valid_from,
        dim_app_users.valid_to,
        {% for column in attributes %}
            dim_app_users.{{ column }}{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('dim_app_users') }} as dim_app_users
    inner join {{ ref('int_engagement__user_keys') }} as user_keys
        on dim_app_users.identity = user_keys.identity and dim_app_users.user_id = user_keys.user_id
),

users as (
    select
        months.cohort_month,
        beginnings.product,
        beginnings.country,
        beginnings.platform,
        beginnings.channel,
        {% for column in attributes %}
            coalesce(accounts.{{ column }}, '(none)') as {{ column }},
        {% endfor %}
        0
        {% for number in numbers %}
            {% set place = 4 * loop.index0 %}
            {% set bracket = 2 ** number - 2 ** (loop.previtem or 0) %}
            + case
                when beginnings.first_date + {{ number }} > months.newest_date then 0
                else
                    {{ 2 ** place }}
                    + case when beginnings.day_bits & {{ 2 ** (number - 1) }} > 0 then {{ 2 ** (place + 1) }} else 0 end
                    + case when beginnings.last_date >= beginnings.first_date + {{ number }} then {{ 2 ** (place + 2) }} else 0 end
                    + case when beginnings.day_bits & {{ bracket }} > 0 then {{ 2 ** (place + 3) }} else 0 end
            end
        {% endfor %}
            as outcome
    from beginnings
    inner join months on {{ month_start('beginnings.first_date') }} = months.cohort_month
    left join accounts
        on
            beginnings.user_key = accounts.user_key
            and accounts.valid_from <= beginnings.first_at
            and (accounts.valid_to is null or accounts.valid_to > beginnings.first_at)
),

counts as (
    select
        cohort_month,
        product,
        case
            {% for segment in segments %}
                when {{ segment }} is not null then '{{ segment }}'
            {% endfor %}
            else 'all'
        end as segment_type,
        coalesce({{ segments | join(', ') }}, 'all') as segment_value,
        outcome,
        count(*) as user_count
    from users
    group by grouping sets (
        (cohort_month, product, outcome),
        {% for segment in segments %}
            (cohort_month, product, outcome, {{ segment }}){{ ',' if not loop.last }}
        {% endfor %}
    )
    union all
    select
        cohort_month,
        'all' as product,
        'all' as segment_type,
        'all' as segment_value,
        0 as outcome,
        0 as user_count
    from months
),

cells as (
    {% for number in numbers %}
        {% set eligible = 2 ** (4 * loop.index0) %}
        {% for type in types %}
            select
                {{ number }} as day_number,
                '{{ type }}' as retention_type,
                {{ eligible }} as eligible_bit,
                {{ eligible * 2 ** loop.index }} as retained_bit
            {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

sums as (
    select
        counts.cohort_month,
        counts.product,
        counts.segment_type,
        counts.segment_value,
        cells.day_number,
        cells.retention_type,
        cast(sum(case when counts.outcome & cells.eligible_bit > 0 then counts.user_count else 0 end) as bigint)
            as eligible_user_count,
        cast(sum(case when counts.outcome & cells.retained_bit > 0 then counts.user_count else 0 end) as bigint)
            as retained_user_count
    from counts
    cross join cells
    group by
        counts.cohort_month, counts.product, counts.segment_type, counts.segment_value,
        cells.day_number, cells.retention_type
),

final as (
    select
        *,
        cast(retained_user_count as numeric) / nullif(eligible_user_count, 0) as retention_rate
    from sums
)

select * from final
