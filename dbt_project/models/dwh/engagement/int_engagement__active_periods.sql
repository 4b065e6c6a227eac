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
{% set kinds = slice_kinds() %}
{% set keys = slice_keys() | join(', ') %}
{% set scopes = {'total': [], 'product': ['product']} %}
{% set figures = ['this_month'] %}
{% for day in range(1, 32) %}{% do figures.append('day_' ~ day) %}{% endfor %}
{% for week in range(1, 6) %}{% do figures.append('week_' ~ week) %}{% endfor %}
with slices as (
    {{ slices_by_key() }}
),

calendar as (
    {{ window_months() }}
),

months as (
    select
        user_slices.month_start,
        {{ months_later('user_slices.month_start', 1) }} as next_start,
        user_slices.user_key,
        {% for key in slice_keys() %}
            slices.{{ key }},
        {% endfor %}
        cast(user_slices.day_bits as bigint) as day_bits
    from {{ ref('int_engagement__user_slices') }} as user_slices
    inner join slices on user_slices.slice_key = slices.slice_key
    {% if is_incremental() %}
        where user_slices.month_start in ({{ window_months_of(days, [-1, 0]) }})
    {% endif %}
),

-- bit 6 is the first day of the month; below it are the six days before, which a week that ends in it may hold
windows as (
    select
        month_start,
        user_key,
        {{ keys }},
        day_bits << 6 as day_bits
    from months
    union all
    select
        next_start as month_start,
        user_key,
        {{ keys }},
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

{% for scope, within in scopes.items() %}
    {{ scope }}_various as (
        select
            {% for column in columns %}
                {{ only_key('sums', column) }} as only_{{ column }}_key,
            {% endfor %}
            windows.*
        from windows
        inner join {{ scope }}_users as sums
            on
                windows.month_start = sums.month_start
                and windows.user_key = sums.user_key
                {{ 'and windows.product_key = sums.product_key' if within }}
        where
            sums.least_country_key < sums.greatest_country_key
            or sums.least_platform_key < sums.greatest_platform_key
            or sums.least_category_key < sums.greatest_category_key
    ),

{% endfor %}
-- kind 0: a key is null where users have several, who count in no slice of that column; they are put together by kind.
-- What is put together by the last column of a kind has the key of its first one, too, where a user has one of that: so
-- a kind itself is left with the users of several of its first column, and of countries few have several.
counted as (
    {% for scope, within in scopes.items() %}
        select
            '{{ scope }}' as counted_in,
            0 as kind_number,
            sums.month_start,
            {{ 'sums.product_key' if within else 'cast(null as integer) as product_key' }},
            {% for column in columns %}
                {{ only_key('sums', column) }} as {{ column }}_key,
            {% endfor %}
            sums.day_bits
        from {{ scope }}_users as sums
        {% for kind in kinds if kind %}
            {% set firsts = [] %}
            {% for longer in kinds if longer[1:] == kind %}{% do firsts.append(longer[0]) %}{% endfor %}
            union all
            select
                '{{ scope }}' as counted_in,
                {{ loop.index }} as kind_number,
                month_start,
                {{ keys_or_null(within + kind, firsts) }},
                bit_or(day_bits) as day_bits
            from {{ scope }}_various
            where only_{{ kind[0] }}_key is null
            group by
                month_start, user_key, {{ slice_keys(within + kind) | join(', ') }}
                {%- for column in firsts %}, only_{{ column }}_key{% endfor %}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

with_weeks as (
    select
        counted.*,
        counted.day_bits >> calendar.sunday_place as week_bits
    from counted
    inner join calendar on counted.month_start = calendar.month_start
    {{ computed_once() }}
),

tallies as (
    select
        month_start,
        counted_in,
        kind_number,
        {{ keys }},
        {% for day in range(1, 32) %}
            {{ users_with('day_bits', 2 ** (day + 5)) }} as day_{{ day }},
        {% endfor %}
        {% for week in range(1, 6) %}
            {{ users_with('week_bits', 127 * 2 ** (7 * week - 7)) }} as week_{{ week }},
        {% endfor %}
        {{ users_with('day_bits', (2 ** 31 - 1) * 2 ** 6) }} as this_month
    from with_weeks
    group by month_start, counted_in, kind_number, {{ keys }}
),

by_slice as (
    {% for scope, within in scopes.items() %}
        {% for kind in kinds %}
            select
                month_start,
                {{ keys_or_null(within + kind) }},
                {{ sums_of(figures) }}
            from tallies
            where
                counted_in = '{{ scope }}'
                and kind_number in ({{ [0, kinds.index(kind[1:]), loop.index0] | unique | join(', ') }})
                {% for column in kind %}
                    and {{ column }}_key is not null
                {% endfor %}
            group by {{ (['month_start'] + slice_keys(within + kind)) | join(', ') }}
            {{ 'union all' if not loop.last }}
        {% endfor %}
        {{ 'union all' if not loop.last }}
    {% endfor %}
),

{% for column in ['product'] + columns %}
    {{ column }}_names as (
        select
            {{ column }}_key,
            min({{ column }}) as {{ column }}
        from slices
        group by {{ column }}_key
    ),

{% endfor %}
users as (
    select
        period_counts.period_type,
        period_counts.period_start,
        {% for column in ['product'] + columns %}
            coalesce({{ column }}_names.{{ column }}, 'all') as {{ column }},
        {% endfor %}
        period_counts.user_count
    from by_slice
    inner join calendar on by_slice.month_start = calendar.month_start
    {% for column in ['product'] + columns %}
        left join {{ column }}_names on by_slice.{{ column }}_key = {{ column }}_names.{{ column }}_key
    {% endfor %}
    cross join {{ periods_of_months('calendar', ['user_count'], {
        'day': ['by_slice.day_#'], 'week': ['by_slice.week_#'], 'month': ['by_slice.this_month'],
    }) }}
    where period_counts.user_count > 0
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
