-- Grain: one row per month of the first day, product (or `all`), segment, day number and way of counting; the total has
-- every month of the span. See docs/metrics.md#n-day-retention.
-- What became of a user is a few bits: users with the same bits are counted together, by segment, before these are
-- looked at.
{% set segments = ['country', 'platform', 'channel', 'age_group', 'gender', 'user_segment'] %}
{% set types = ['on_day', 'on_or_after', 'bracket'] %}
with months as (
    select period_start as cohort_month
    from {{ ref('int_engagement__periods') }}
    where period_type = 'month'
),

users as (
    select
        cohort_month,
        product,
        {% for segment in segments %}
            {{ segment }},
        {% endfor %}
        -- retention counts days that are loaded only
        loaded_bits
        {% for type in types %}
            + ({{ type }}_bits & loaded_bits) * {{ 32 ** loop.index }}
        {% endfor %}
            as outcome
    from {{ ref('int_engagement__nday_outcomes') }}
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
    group by
        grouping sets (
            {% for segment in segments %}
                (cohort_month, product, outcome, {{ segment }}),
            {% endfor %}
            (cohort_month, product, outcome)
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

sums as (
    select
        cohort_month,
        product,
        segment_type,
        {% for number in nday_numbers() %}
            {% set loaded = 2 ** loop.index0 %}
            sum(case when outcome & {{ loaded }} > 0 then user_count else 0 end) as eligible_{{ number }},
            {% for type in types %}
                sum(case when outcome & {{ loaded * 32 ** loop.index }} > 0 then user_count else 0 end)
                    as {{ type }}_{{ number }},
            {% endfor %}
        {% endfor %}
        segment_value
    from counts
    group by cohort_month, product, segment_type, segment_value
),

cells as (
    {% for number in nday_numbers() %}
        {% for type in types %}
            select
                cohort_month,
                product,
                segment_type,
                segment_value,
                {{ number }} as day_number,
                '{{ type }}' as retention_type,
                cast(eligible_{{ number }} as bigint) as eligible_user_count,
                cast({{ type }}_{{ number }} as bigint) as retained_user_count
            from sums
            {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        *,
        cast(retained_user_count as numeric) / nullif(eligible_user_count, 0) as retention_rate
    from cells
)

select * from final
