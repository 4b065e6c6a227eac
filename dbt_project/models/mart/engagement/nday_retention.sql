-- Grain: one row per month of the first day, product (or `all`), segment, day number and way of counting; the total has
-- every month of the span. See docs/metrics.md#n-day-retention.
-- What became of a user is a few bits: users with the same bits are counted together, by segment, before any of them is
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

cells as (
    {% for number in nday_numbers() %}
        {% set loaded = 2 ** loop.index0 %}
        {% for type in types %}
            select
                {{ number }} as day_number,
                '{{ type }}' as retention_type,
                {{ loaded }} as eligible_bit,
                {{ loaded * 32 ** loop.index }} as retained_bit
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
