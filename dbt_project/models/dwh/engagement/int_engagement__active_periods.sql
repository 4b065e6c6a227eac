{{ config(
    materialized='incremental', incremental_strategy='rebuild_rows', on_schema_change='fail',
    meta={'feeds': ['events', 'app_events'], 'rebuilt': 'changed_periods'},
    indexes=[{'columns': ['period_type', 'period_start']}],
) }}
-- Grain: one row per day, ISO week or month and slice with an active user (the total: with an event). Slices are all of
-- it, one of country, platform and category, or country and category; each for all products and for each.
-- The days of a user's month, and of the week that ends in it, are bits of one integer. A user who has one country (or
-- platform, or category) in it is counted with it by the group of all such users; only users of several of them have
-- their days put together country by country.
{% set days = pending_days(event_feeds()) %}
{% set columns = ['country', 'platform', 'category'] %}
{% set levels = {'total': [], 'product': ['product_key']} %}
{% set figures = [] %}
{% for day in range(31) %}{% do figures.append('day_' ~ day) %}{% endfor %}
{% for week in range(5) %}{% do figures.append('week_' ~ week) %}{% endfor %}
{% do figures.append('month_0') %}
with slices as (
    select
        slice_key,
        {% for column in ['product'] + columns %}
            min(slice_key) over (partition by {{ column }}) as {{ column }}_key{{ ',' if not loop.last }}
        {% endfor %}
    from {{ ref('int_engagement__slices') }}
),

calendar as (
    {{ window_months() }}
),

months as (
    select
        user_periods.period_start as month_start,
        {{ months_later('user_periods.period_start', 1) }} as next_start,
        user_periods.user_key,
        slices.*,
        cast(user_periods.day_bits as bigint) as day_bits
    from {{ ref('int_engagement__user_periods') }} as user_periods
    inner join slices on user_periods.slice_key = slices.slice_key
    where
        user_periods.period_type = 'month'
        {% if is_incremental() %}
            and user_periods.period_start in ({{ window_months_of(days, [-1, 0]) }})
        {% endif %}
),

-- bit 6 is the first day of the month; below it are the six days before, which a week that ends in it may hold
windows as (
    select
        month_start,
        user_key,
        {% for column in ['product'] + columns %}{{ column }}_key, {% endfor %}
        day_bits << 6 as day_bits
    from months
    union all
    select
        next_start as month_start,
        user_key,
        {% for column in ['product'] + columns %}{{ column }}_key, {% endfor %}
        day_bits >> (next_start - month_start - 6) as day_bits
    from months
    where day_bits >> (next_start - month_start - 6) > 0
),

product_users as (
    select
        month_start,
        user_key,
        product_key,
        {% for column in columns %}
            min({{ column }}_key) as least_{{ column }}_key,
            max({{ column }}_key) as greatest_{{ column }}_key,
        {% endfor %}
        bit_or(day_bits) as day_bits
    from windows
    {% if is_incremental() %}
        where month_start in ({{ window_months_of(days) }})
    {% endif %}
    group by month_start, user_key, product_key
),

total_users as (
    select
        month_start,
        user_key,
        {% for column in columns %}
            min(least_{{ column }}_key) as least_{{ column }}_key,
            max(greatest_{{ column }}_key) as greatest_{{ column }}_key,
        {% endfor %}
        bit_or(day_bits) as day_bits
    from product_users
    group by month_start, user_key
),

{% for level, keys in levels.items() %}
    {{ level }}_various as (
        select
            windows.*,
            {% for column in columns %}
                users.least_{{ column }}_key < users.greatest_{{ column }}_key as has_several_{{ column }}{{ ',' if not loop.last }}
            {% endfor %}
        from windows
        inner join {{ level }}_users as users
            on
                windows.month_start = users.month_start
                and windows.user_key = users.user_key
                {% for key in keys %}and windows.{{ key }} = users.{{ key }}{% endfor %}
        where
            {% for column in columns %}
                users.least_{{ column }}_key < users.greatest_{{ column }}_key{{ ' or' if not loop.last }}
            {% endfor %}
    ),

    -- a key is null where users have several: the row counts in no slice of that column
    {{ level }}_groups as (
        select
            month_start,
            {{ 'product_key' if keys else 'cast(null as integer) as product_key' }},
            {% for column in columns %}
                case when least_{{ column }}_key = greatest_{{ column }}_key then least_{{ column }}_key end as {{ column }}_key,
            {% endfor %}
            day_bits
        from {{ level }}_users
    ),
{% endfor %}

counted as (
    {% for level, keys in levels.items() %}
        select
            '{{ level }}' as level,
            0 as kind,
            *
        from {{ level }}_groups
        {% for kind in slice_kinds() if kind %}
            union all
            select
                '{{ level }}' as level,
                {{ loop.index }} as kind,
                month_start,
                {{ 'product_key' if keys else 'null as product_key' }},
                {% for column in columns %}
                    {{ column ~ '_key' if column in kind else 'null as ' ~ column ~ '_key' }},
                {% endfor %}
                bit_or(day_bits) as day_bits
            from {{ level }}_various
            where {% for column in kind %}has_several_{{ column }}{{ ' or ' if not loop.last }}{% endfor %}
            group by month_start, user_key{% for key in keys %}, {{ key }}{% endfor %}{% for column in kind %}, {{ column }}_key{% endfor %}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

tallies as (
    select
        month_start,
        level,
        kind,
        product_key,
        {% for column in columns %}{{ column }}_key, {% endfor %}
        {% for day in range(31) %}
            {{ users_with('day_bits', 2 ** (day + 6)) }} as day_{{ day }},
        {% endfor %}
        {% for week in range(5) %}
            {{ users_with('week_bits', 127 * 2 ** (7 * week)) }} as week_{{ week }},
        {% endfor %}
        {{ users_with('day_bits', (2 ** 31 - 1) * 2 ** 6) }} as month_0
    from (
        select
            counted.*,
            counted.day_bits >> calendar.sunday_place as week_bits
        from counted
        inner join calendar on counted.month_start = calendar.month_start
        offset 0
    ) as counted
    group by month_start, level, kind, product_key{% for column in columns %}, {{ column }}_key{% endfor %}
),

kinds as (
    {% for level in levels %}
        {% for kind in slice_kinds() %}
            select
                month_start,
                {{ 'product_key' if level == 'product' else 'cast(null as integer) as product_key' }},
                {% for column in columns %}
                    {{ column ~ '_key' if column in kind else 'cast(null as integer) as ' ~ column ~ '_key' }},
                {% endfor %}
                {% for figure in figures %}sum({{ figure }}) as {{ figure }}{{ ', ' if not loop.last }}{% endfor %}
            from tallies
            where
                level = '{{ level }}'
                and (kind = {{ loop.index0 }} or (kind = 0{% for column in kind %} and {{ column }}_key is not null{% endfor %}))
            group by
                month_start{{ ', product_key' if level == 'product' }}
                {%- for column in kind %}, {{ column }}_key{% endfor %}
            {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

users as (
    select
        period_counts.period_type,
        period_counts.period_start,
        {% for column in ['product'] + columns %}
            coalesce({{ column }}_names.{{ column }}, 'all') as {{ column }},
        {% endfor %}
        period_counts.user_count
    from kinds
    inner join calendar on kinds.month_start = calendar.month_start
    {% for column in ['product'] + columns %}
        left join (
            select
                min(slice_key) as {{ column }}_key,
                {{ column }}
            from {{ ref('int_engagement__slices') }}
            group by {{ column }}
        ) as {{ column }}_names
            on kinds.{{ column }}_key = {{ column }}_names.{{ column }}_key
    {% endfor %}
    cross join lateral (
        values
        {% for day in range(31) %}
            ('day', calendar.month_start + {{ day }}, calendar.month_start + {{ day }}, kinds.day_{{ day }}),
        {% endfor %}
        {% for week in range(5) %}
            (
                'week', calendar.month_start + calendar.sunday_place + {{ 7 * week - 6 }},
                calendar.month_start + calendar.sunday_place + {{ 7 * week }}, kinds.week_{{ week }}
            ),
        {% endfor %}
        ('month', calendar.month_start, calendar.month_start, kinds.month_0)
    ) as period_counts (period_type, period_start, end_date, user_count)
    where period_counts.end_date < calendar.next_start and period_counts.user_count > 0
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

counts as (
    select
        period_type,
        period_start,
        product,
        country,
        platform,
        category,
        user_count,
        0 as event_count
    from users
    union all
    select
        period_type,
        period_start,
        {{ sliced_columns() }},
        0 as user_count,
        sum(event_count) as event_count
    from activity
    group by {{ slice_sets() }}
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
    {% if is_incremental() %}
        where {{ changed_periods() }}
    {% endif %}
    group by period_type, period_start, product, country, platform, category
    having
        sum(user_count) > 0
        -- events of nobody count in the total
        or (product = 'all' and country = 'all' and platform = 'all' and category = 'all')
)

select * from final
