{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_periods'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per day, ISO week or month and slice with an active user (the total: with an event): all of it, one of country, platform and
-- category, or country and category, each for all products and for each.
-- A user with one kind of activity in a period counts once in each of its slices, so these add up from groups of
-- users; only the others are counted slice by slice.
{% set days = pending_days(event_feeds()) %}
{% set columns = ['product', 'country', 'platform', 'category'] %}
{% set kinds = [[], ['country'], ['platform'], ['category'], ['country', 'category']] %}
with slices as (select * from {{ ref('int_engagement__slices') }}),

{% for type in period_types() %}
    {{ type }}_rows as (
        {% if type == 'day' %}
            select
                activity_date as period_start,
                user_key,
                slice_key
            from {{ ref('fct_user_activity_daily') }}
            {% if is_incremental() %}
                where activity_date in ({{ periods_of(type, days) }})
            {% endif %}
        {% else %}
            select
                period_start,
                user_key,
                slice_key
            from {{ ref('int_engagement__user_periods') }}
            where
                period_type = '{{ type }}'
                {% if is_incremental() %}
                    and period_start in ({{ periods_of(type, days) }})
                {% endif %}
        {% endif %}
    ),

    {{ type }}_users as (
        select
            period_start,
            user_key,
            min(slice_key) as slice_key,
            count(*) as slice_count
        from {{ type }}_rows
        group by period_start, user_key
    ),
{% endfor %}

simple as (
    select
        counts.period_type,
        counts.period_start,
        slices.product,
        slices.country,
        slices.platform,
        slices.category,
        counts.user_count
    from (
        {% for type in period_types() %}
            select
                '{{ type }}' as period_type,
                period_start,
                slice_key,
                count(*) as user_count
            from {{ type }}_users
            where slice_count = 1
            group by period_start, slice_key
            {{ 'union all' if not loop.last }}
        {% endfor %}
    ) as counts
    inner join slices on counts.slice_key = slices.slice_key
),

various as (
    {% for type in period_types() %}
        select
            '{{ type }}' as period_type,
            {{ type }}_rows.period_start,
            {{ type }}_rows.user_key,
            slices.product,
            slices.country,
            slices.platform,
            slices.category
        from {{ type }}_rows
        inner join {{ type }}_users
            on
                {{ type }}_rows.user_key = {{ type }}_users.user_key
                and {{ type }}_rows.period_start = {{ type }}_users.period_start
        inner join slices on {{ type }}_rows.slice_key = slices.slice_key
        where {{ type }}_users.slice_count > 1
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

activity as (
    {% for type in period_types() %}
        select
            '{{ type }}' as period_type,
            {{ period_start(type, 'activity_date') }} as period_start,
            product,
            country,
            platform,
            category,
            sum(event_count) as event_count
        from {{ ref('fct_activity_daily') }}
        {% if is_incremental() %}
            where {{ in_period_days(type, days, 'activity_date') }}
        {% endif %}
        group by {{ period_start(type, 'activity_date') }}, product, country, platform, category
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

{% set sets %}
    grouping sets (
        {% for kind in kinds %}
            (period_type, period_start{% for column in kind %}, {{ column }}{% endfor %}),
            (period_type, period_start, product{% for column in kind %}, {{ column }}{% endfor %})
            {{- ',' if not loop.last }}
        {% endfor %}
    )
{% endset %}
counts as (
    select
        period_type,
        period_start,
        {% for column in columns %}
            coalesce({{ column }}, 'all') as {{ column }},
        {% endfor %}
        sum(user_count) as user_count,
        0 as event_count
    from simple
    group by {{ sets }}
    union all
    select
        period_type,
        period_start,
        {% for column in columns %}
            coalesce({{ column }}, 'all') as {{ column }},
        {% endfor %}
        0 as user_count,
        sum(event_count) as event_count
    from activity
    group by {{ sets }}
    {% for kind in kinds %}
        {% for chosen in [kind, ['product'] + kind] %}
            union all
            select
                period_type,
                period_start,
                {% for column in columns %}
                    {{ column if column in chosen else "'all'" }} as {{ column }},
                {% endfor %}
                count(*) as user_count,
                0 as event_count
            from (
                select
                    period_type,
                    period_start,
                    user_key{% for column in chosen %},
                    {{ column }}{% endfor %}
                from various
                group by period_type, period_start, user_key{% for column in chosen %}, {{ column }}{% endfor %}
            ) as users
            group by period_type, period_start{% for column in chosen %}, {{ column }}{% endfor %}
        {% endfor %}
    {% endfor %}
),

final as (
    select
        period_type,
        period_start,
        product,
        country,
        platform,
        category,
        cast(sum(user_count) as bigint) as active_user_count,
        cast(sum(event_count) as bigint) as event_count
    from counts
    group by period_type, period_start, product, country, platform, category
    having
        sum(user_count) > 0
        -- events of nobody count in the total
        or (product = 'all' and country = 'all' and platform = 'all' and category = 'all')
)

select * from final
